import type { ApiKey } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { Block } from '../text.ts';
import { facts, timeText } from './values.ts';

/** `inUse` is the fingerprint of the key that the command itself is signed in with. */
export function keysBlocks(
  keys: readonly ApiKey[],
  inUse: string,
  now: Date = new Date(),
): Block[] {
  const rows = keys.map((key) => [
    key.fingerprint === inUse ? { text: '*', style: 'good' as const } : '',
    key.name,
    key.masked,
    key.scopes.join(' '),
    reachText(key),
    stateText(key, now),
    timeText(key.lastUseTime),
    key.id,
  ]);
  return [{ head: ['', 'name', 'key', 'scopes', 'reach', 'state', 'last used', 'id'], rows }];
}

export function keyBlocks(key: ApiKey, now: Date = new Date()): Block[] {
  return facts(
    ['id', key.id],
    ['name', key.name],
    ['key', key.masked],
    ['fingerprint', key.fingerprint],
    ['scopes', key.scopes.join(' ')],
    ['reach', [...key.organizationIds, ...key.projectIds].join(' ') || 'everything'],
    ['state', stateText(key, now)],
    ['expires', key.expireTime && timeText(key.expireTime)],
    ['old secret until', key.overlapExpireTime && timeText(key.overlapExpireTime)],
    ['last used', timeText(key.lastUseTime)],
    ['created', timeText(key.createTime)],
  );
}

export function secretBlocks(key: ApiKey, secret: string): Block[] {
  return [...facts(['key', secret], ['id', key.id]), 'It is shown this once: keep it now.'];
}

function reachText({ organizationIds, projectIds }: ApiKey): string {
  const count = organizationIds.length + projectIds.length;
  return count === 0 ? 'everything' : `${count} only`;
}

function stateText({ disabled, expireTime }: ApiKey, now: Date): string {
  if (expireTime !== undefined && expireTime <= now) return 'expired';
  if (disabled) return 'disabled';
  return expireTime === undefined ? 'enabled' : `until ${timeText(expireTime)}`;
}
