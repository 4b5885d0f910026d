import { type Call, targetProject } from '@silo/rpc/call.ts';
import { alwaysIndexed, type Places, placesWith } from '../../rules/events/indexed-properties.ts';
import type { PropertyIndexStore } from '../../store/property-indexes.ts';

/**
 * Reads events with those indexes of the named properties that are ready. If one of them was
 * removed meanwhile, events may have lost their values: reads again without them.
 */
export async function withIndexes<T>(
  call: Call,
  named: readonly string[],
  indexes: Pick<PropertyIndexStore, 'ready'>,
  read: (places: Places) => Promise<T>,
): Promise<T> {
  const { id, fact } = targetProject(call);
  // From memory, and perhaps outdated: a new index is not used until it is known.
  const chosen = fact.capture?.indexedProperties ?? [];
  if (!chosen.some(({ name }) => named.includes(name))) return await read(alwaysIndexed);
  const ready = async () =>
    (await indexes.ready(id, call.signal)).filter(({ name }) => named.includes(name));
  const before = await ready();
  const found = await read(placesWith(before));
  if (before.length === 0) return found;
  const after = await ready();
  const isKept = before.every(({ place, since }) =>
    after.some((index) => index.place === place && index.since === since),
  );
  return isKept ? found : await read(alwaysIndexed);
}
