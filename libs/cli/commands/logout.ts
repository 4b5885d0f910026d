import { Command } from '@commander-js/extra-typings';
import type { Cli } from '../cli.ts';
import { Failure } from '../failure.ts';

export function logout(cli: Cli) {
  const { profiles, globals, terminal, answerPlain } = cli;
  return new Command('logout')
    .description('Remove the stored key. The key itself stays valid: silo keys delete ends it.')
    .option('--yes', 'do not prompt for the profile’s name')
    .action(async ({ yes }) => {
      const chosen = globals().profile ?? terminal.environment.SILO_PROFILE;
      const name = chosen || (await profiles.current());
      if (name === undefined) throw new Failure('usage', 'Which profile?', 'silo profiles');
      const absent = new Failure('hidden', `There is no profile "${name}".`, 'silo profiles');
      if (!(await profiles.names()).includes(name)) throw absent;
      if (!yes) await agree(cli, name);
      if (!(await profiles.remove(name))) throw absent;
      answerPlain({ profile: name }, [`The key of profile ${name} is removed.`]);
    });
}

/** Prompts for confirmation: the key may be the only one of its account. */
async function agree(cli: Cli, name: string): Promise<void> {
  cli.note(`The key of profile ${name} will be removed. Silo cannot show it again.`);
  await cli.prompt.confirmByTyping('the profile’s name', name);
}
