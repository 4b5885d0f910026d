import { Command } from '@commander-js/extra-typings';
import { chooseText } from '../choose.ts';
import type { Cli } from '../cli.ts';
import { Failure } from '../failure.ts';
import { group } from '../group.ts';
import { type NamedProfile, profilesBlocks } from '../render/accounts.ts';

export function profiles(cli: Cli) {
  return group(
    'profiles',
    'List the stored profiles: the regions and accounts that you are signed in to.',
    [list(cli), use(cli)],
  );
}

function list({ profiles, answerPlain }: Cli) {
  return new Command('list').description('List them.').action(async () => {
    const current = await profiles.current();
    const found: NamedProfile[] = [];
    for (const name of await profiles.names()) {
      const profile = await profiles.read(name);
      if (profile) found.push({ name, profile, current: name === current });
    }
    answerPlain({ profiles: found.map(withoutSecrets) }, profilesBlocks(found));
  });
}

function use({ profiles, prompt, answerPlain }: Cli) {
  return new Command('use')
    .description('Choose the profile that is used when --profile is not given.')
    .argument('[name]', 'name of a profile; prompted for if not given')
    .action(async (given) => {
      const name =
        given ??
        (await chooseText(prompt, 'Profile:', await profiles.names(), 'name the profile.'));
      if ((await profiles.read(name)) === undefined) {
        throw new Failure('hidden', `There is no profile "${name}".`, 'silo profiles');
      }
      await profiles.choose(name);
      answerPlain({ profile: name }, [`Using profile ${name}.`]);
    });
}

function withoutSecrets({ name, profile, current }: NamedProfile) {
  const { region, ca, services, account } = profile;
  return { name, region, ca, services, account, current };
}
