import { Command } from '@commander-js/extra-typings';
import type { Cli } from '../cli.ts';
import { Failure } from '../failure.ts';

export function logout({ profiles, globals, terminal, answerPlain }: Cli) {
  return new Command('logout')
    .description('Remove the stored key. The key itself stays valid: silo keys delete ends it.')
    .action(async () => {
      const chosen = globals().profile ?? terminal.environment.SILO_PROFILE;
      const name = chosen || (await profiles.current());
      if (name === undefined) throw new Failure('usage', 'Which profile?', 'silo profiles');
      if (!(await profiles.remove(name))) {
        throw new Failure('hidden', `There is no profile "${name}".`, 'silo profiles');
      }
      answerPlain({ profile: name }, [`The key of profile ${name} is removed.`]);
    });
}
