import { runService } from '@silo/service/run-service.ts';
import { billingService } from './service.ts';

await runService(billingService);
