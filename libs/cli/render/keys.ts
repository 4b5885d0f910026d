import type { ApiKey } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { listOf, type NameOf, named } from '../names.ts';
import type { Block, Span } from '../text.ts';
import { facts, timeText } from './values.ts';

/** `inUse` is the fingerprint of the key that the command itself is signed in with. */
export function keysBlocks(
  keys: readonly ApiKey[],
  inUse: string,
  nameOf: NameOf,
  now: Date = new Date(),
): Block[] {
  const rows = keys.map((key) => [
    key.fingerprint === inUse ? { text: '*', style: 'good' as const } : '',
    named(key),
    key.masked,
    key.scopes.join(' '),
    reachOf(key, nameOf),
    stateText(key, now),
    timeText(key.lastUseTime),
  ]);
  return [{ head: ['', 'name', 'key', 'scopes', 'reach', 'state', 'last used'], rows }];
}

export function keyBlocks(key: ApiKey, nameOf: NameOf, now: Date = new Date()): Block[] {
  return facts(
    ['name', named(key)],
    ['key', key.masked],
    ['fingerprint', key.fingerprint],
    ['scopes', key.scopes.join(' ')],
    ['reach', reachOf(key, nameOf)],
    ['state', stateText(key, now)],
    ['expires', key.expireTime && timeText(key.expireTime)],
    ['old secret until', key.overlapExpireTime && timeText(key.overlapExpireTime)],
    ['last used', timeText(key.lastUseTime)],
    ['created', timeText(key.createTime)],
  );
}

export function secretBlocks(key: ApiKey, secret: string): Block[] {
  return [
    ...facts(['name', named(key)], ['key', secret]),
    'The secret is shown only once: store it now.',
  ];
}

/** The ids of the organizations and projects to which keys are restricted. */
export function reachIds(keys: readonly ApiKey[]): string[] {
  return keys.flatMap(({ organizationIds, projectIds }) => [...organizationIds, ...projectIds]);
}

function reachOf(key: ApiKey, nameOf: NameOf): Span {
  const ids = reachIds([key]);
  return ids.length === 0 ? 'everything' : listOf(nameOf, ids);
}

function stateText({ disabled, expireTime }: ApiKey, now: Date): string {
  if (expireTime !== undefined && expireTime <= now) return 'expired';
  if (disabled) return 'disabled';
  return expireTime === undefined ? 'enabled' : `until ${timeText(expireTime)}`;
}
