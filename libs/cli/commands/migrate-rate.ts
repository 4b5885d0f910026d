import { InvalidArgumentError } from '@commander-js/extra-typings';
import { SetMigrationRateResponse } from '@silo/protos/gen/silo/project/internal/v1/migration_staff_service.ts';
import type { Cli } from '../cli.ts';
import { findMigration } from '../find-migration.ts';
import { bytesText } from '../render/values.ts';
import { connectStaff, staffCommand } from '../staff.ts';

const units: Record<string, number> = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

export function migrateRate(cli: Cli) {
  return staffCommand('rate')
    .description('For staff of the destination’s region: limit the rate of a copy while it runs.')
    .argument('<migration>', 'its id, or the name of its project, for the latest')
    .argument('<limit>', 'bytes a second, such as 500000 or 8MiB; or none', parseRate)
    .action(async (given, bytesPerSecondMax, options) => {
      const { migration } = await findMigration(cli, given, { ...options, staff: true });
      const staff = await connectStaff(cli, options);
      const request = { migrationId: migration.id, bytesPerSecondMax };
      const answer = await staff.setMigrationRate(request);
      const limit =
        bytesPerSecondMax === 0
          ? 'without a limit'
          : `at most ${bytesText(bytesPerSecondMax)} a second`;
      cli.answer(SetMigrationRateResponse, answer, [`${migration.projectName}: ${limit}.`]);
    });
}

/** Parses a rate; 0 means no limit. */
function parseRate(text: string): number {
  if (text === 'none') return 0;
  const [, number, unit = ''] = /^(\d{1,12}(?:\.\d{1,3})?)(KiB|MiB|GiB)?$/.exec(text) ?? [];
  const bytes = Math.round(Number(number) * (units[unit] ?? 0));
  if (number !== undefined && bytes >= 1) return bytes;
  throw new InvalidArgumentError('Give bytes a second, such as 500000 or 8MiB, or none.');
}
