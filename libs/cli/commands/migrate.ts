import type { Cli } from '../cli.ts';
import { group } from '../group.ts';
import { migrateAccept } from './migrate-accept.ts';
import { migrateCancel } from './migrate-cancel.ts';
import { migrateList, migrateShow } from './migrate-list.ts';
import { migrateRate } from './migrate-rate.ts';
import { migratePreview, migrateRequest } from './migrate-request.ts';
import { migratePurge, migrateRetry, migrateRollback, migrateStart } from './migrate-staff.ts';
import { migrateWatch } from './migrate-watch.ts';

export function migrate(cli: Cli) {
  return group('migrate', 'Migrate projects to another region.', [
    migrateList(cli),
    migratePreview(cli),
    migrateRequest(cli),
    migrateAccept(cli),
    migrateStart(cli),
    migrateWatch(cli),
    migrateCancel(cli),
    migrateRetry(cli),
    migrateRollback(cli),
    migratePurge(cli),
    migrateRate(cli),
    migrateShow(cli),
  ]);
}
