import { runService } from '@silo/service/run-service.ts';
import { projectService } from './service.ts';

await runService(projectService);
