import { Command, Option } from '@commander-js/extra-typings';
import type { CommandContext } from '../program.ts';

/** `silo-admin mongodb-users`. */
export function mongodbUsersCommand({ print, signal }: CommandContext) {
  return new Command('mongodb-users')
    .description('Creates the replica set of MongoDB and its users, or those that are missing.')
    .requiredOption('--local <address>', 'a member on this machine, `host:port`')
    .addOption(
      new Option('--members <addresses>', 'the members of the replica set')
        .env('MONGODB_MEMBERS')
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--passwords <directory>', 'directory with one password file per user')
        .env('MONGODB_PASSWORDS')
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--ca <file>', 'the CA that signed the certificates')
        .env('MONGODB_TLS_CA')
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--database-prefix <prefix>', 'prefix of the databases of the services')
        .env('MONGODB_DATABASE_PREFIX')
        .default('silo'),
    )
    .exitOverride()
    .action(async ({ local, members, passwords, ca, databasePrefix }) => {
      // Loaded on use: other commands do not need the driver.
      const { setUpMongodb } = await import('../set-up-mongodb.ts');
      const options = { local, members: members.split(','), passwords, ca, databasePrefix };
      const done = await setUpMongodb({ ...options, signal });
      for (const each of done) print(each);
      if (done.length === 0) print('nothing to do: the replica set and its users exist');
    });
}
