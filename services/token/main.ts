import { runService } from '@silo/service/run-service.ts';
import { tokenService } from './service.ts';

await runService(tokenService);
