import { Command } from '@commander-js/extra-typings';
import { exceeds } from '@silo/access/reach.ts';
import { ApiKey, UpdateApiKeyResponse } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { Cli } from '../cli.ts';
import { usage } from '../failure.ts';
import { present } from '../find.ts';
import { keyBlocks, reachIds } from '../render/keys.ts';
import { propagationBlocks } from '../render/propagation.ts';
import { expiryOption, scopeOption } from './key-options.ts';
import { reachOf } from './key-reach.ts';
import { agree, isOwn } from './own-key.ts';

export function keysUpdate(cli: Cli) {
  return new Command('update')
    .description('Change the given parts of a key; a given list replaces the whole old list.')
    .argument('[key]', 'name or id; prompted for if not given')
    .option('--name <name>', 'another name')
    .addOption(scopeOption())
    .option('--org <organization...>', 'restrict it to these organizations')
    .option('--project <project...>', 'restrict it to these projects')
    .option('--everywhere', 'remove the restriction: reaches everything that its account reaches')
    .addOption(expiryOption())
    .option('--no-expires', 'never expires')
    .option('--yes', 'do not prompt when you are signed in with this key')
    .action(async (given, { name, scope, org, project, everywhere, expires, yes }) => {
      if (everywhere && (org || project)) throw usage('--everywhere excludes --org and --project.');
      const updateMask = [
        ...(name === undefined ? [] : ['name']),
        ...(scope === undefined ? [] : ['scopes']),
        ...(org || everywhere ? ['organization_ids'] : []),
        ...(project || everywhere ? ['project_ids'] : []),
        ...(expires === undefined ? [] : ['expire_time']),
      ];
      if (updateMask.length === 0) throw usage('Say what to change.', 'silo keys update --help');
      const { api, find, lookUp } = await cli.signedIn();
      const key = await find.key(given);
      const { id, etag } = key;
      const changed = ApiKey.fromPartial({
        id,
        etag,
        name: name ?? '',
        scopes: scope ?? [],
        ...(await reachOf(find, { org, project })),
        ...(expires instanceof Date && { expireTime: expires }),
      });
      if (!yes && narrows(key, changed, updateMask) && (await isOwn(cli, key))) {
        await agree(cli, key, 'will have less access, and cannot restore it itself.');
      }
      const answer = await api.apiKeys.updateApiKey({ apiKey: changed, updateMask, requestId: '' });
      const updated = present(answer.apiKey);
      const nameOf = await lookUp(reachIds([updated]));
      cli.answer(UpdateApiKeyResponse, answer, [
        ...keyBlocks(updated, nameOf),
        ...propagationBlocks(answer.propagation),
      ]);
    });
}

/** Whether an update takes access from the key. */
function narrows(key: ApiKey, changed: ApiKey, updateMask: readonly string[]): boolean {
  const by = (field: string) => (updateMask.includes(field) ? changed : key);
  const after = {
    scopes: by('scopes').scopes,
    organizationIds: by('organization_ids').organizationIds,
    projectIds: by('project_ids').projectIds,
    expireTime: by('expire_time').expireTime,
  };
  return exceeds(key, after) !== undefined;
}
