import type { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { type NameOf, named } from '../names.ts';
import type { Profile } from '../profiles.ts';
import type { Block } from '../text.ts';
import { addressesText, facts, timeText } from './values.ts';

export function accountBlocks(account: Account, nameOf: NameOf): Block[] {
  return facts(
    ['name', named({ id: account.id, name: account.displayName })],
    ['e-mail', account.email],
    ['current project', nameOf(account.currentProjectId)],
    ['created', timeText(account.createTime)],
  );
}

export function signedInBlocks(name: string, profile: Profile, file: string): Block[] {
  return [
    [{ text: 'Signed in', style: 'good' }, ` as ${profile.account.email}, profile ${name}.`],
    { text: `The key is in ${file}, which only you can read.`, style: 'dim' },
  ];
}

export type NamedProfile = { name: string; profile: Profile; current: boolean };

export function profilesBlocks(profiles: readonly NamedProfile[]): Block[] {
  if (profiles.length === 0) return ['No profiles yet: silo login'];
  const rows = profiles.map(({ name, profile, current }) => [
    current ? '*' : '',
    name,
    profile.region,
    profile.account.email,
    addressesText(profile.services),
  ]);
  return [{ head: ['', 'profile', 'region', 'account', 'addresses'], rows }];
}
