import { readFile } from 'node:fs/promises';
import { Command, Option } from '@commander-js/extra-typings';
import type { CommandContext } from '../program.ts';

/** `silo-admin restored`. */
export function restoredCommand({ print }: Pick<CommandContext, 'print'>) {
  const prefix = new Option(
    '--database-prefix <prefix>',
    'prefix of the databases of the services',
  );
  return new Command('restored')
    .description(
      'After a backup was restored: begins later event logs in the MongoDB of MONGODB_URL or MONGODB_URL_FILE.',
    )
    .addOption(prefix.env('MONGODB_DATABASE_PREFIX').default('silo'))
    .exitOverride()
    .action(async ({ databasePrefix }) => {
      // Not an argument, because other users of the machine can see arguments, and the URL holds a
      // password.
      const { MONGODB_URL, MONGODB_URL_FILE } = process.env;
      const url =
        MONGODB_URL || (MONGODB_URL_FILE && (await readFile(MONGODB_URL_FILE, 'utf8')).trim());
      if (!url) {
        throw new Error(
          'set MONGODB_URL to a URL of MongoDB with an administrator, or MONGODB_URL_FILE to a file that holds it',
        );
      }
      // Loaded on use: other commands do not need the driver.
      const { beginIncarnations } = await import('../begin-incarnations.ts');
      for (const { service, position } of await beginIncarnations({ url, databasePrefix })) {
        print(`${service}: incarnation ${position.incarnation} after ${position.sequence} events`);
      }
    });
}
