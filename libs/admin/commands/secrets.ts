import { relative, resolve } from 'node:path';
import { Command, Option } from '@commander-js/extra-typings';
import { makeSecrets } from '../make-secrets.ts';
import type { CommandContext } from '../program.ts';

/** `silo-admin secrets`. */
export function secretsCommand({ print }: Pick<CommandContext, 'print'>) {
  return new Command('secrets')
    .description('Creates the CA, certificates, passwords and keys of a deployment, as files.')
    .argument('<directory>', 'directory of the files; created if missing')
    .addOption(
      new Option('--region <region>', 'the region of the deployment').choices(['us', 'eu']),
    )
    .option('--host <names...>', 'DNS names or addresses by which clients reach the public ports')
    .option('--renew', 'replace certificates that end within 30 days')
    .exitOverride()
    .action(async (directory, { region, host, renew = false }) => {
      const place = resolve(directory);
      const { made, ending } = await makeSecrets(place, { region, hosts: host, renew });
      for (const file of made) print(`made ${relative(place, file)}`);
      if (made.length === 0) print('nothing to do: all files exist');
      for (const { file, ends } of ending) {
        print(`${relative(place, file)} ends on ${ends.toISOString().slice(0, 10)}: use --renew`);
      }
    });
}
