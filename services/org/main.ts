import { runService } from '@silo/service/run-service.ts';
import { orgService } from './service.ts';

await runService(orgService);
