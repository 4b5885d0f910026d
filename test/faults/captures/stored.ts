import type { ExecutionContext } from 'ava';
import type { SignedUp } from '../../harness/clients.ts';
import { eventually } from '../../harness/eventually.ts';
import type { FaultSilo } from '../fault-silo.ts';

type Document = { _id: { project: string; uuid: { toString(format: 'hex'): string } } };

/**
 * The UUIDs of a project's events, without hyphens and sorted. All events must be `seen` by `ada`
 * with these properties, and usage must count exactly them.
 */
export async function storedAndCounted(
  t: ExecutionContext,
  { mongo }: Pick<FaultSilo, 'mongo'>,
  { api, projectId }: Pick<SignedUp, 'api' | 'projectId'>,
  properties = '{}',
): Promise<string[]> {
  const found = await storedEvents({ mongo }, projectId);
  const { days } = await eventually(() =>
    api.events.getUsage({
      ...{ organizationId: '', projectId, firstDay: '', lastDay: '' },
      ...{ pageSize: 0, pageToken: '' },
    }),
  );
  const total = (of: 'events' | 'bytes') => days.reduce((sum, day) => sum + (day[of] ?? 0), 0);
  t.is(total('events'), found.length);
  t.is(total('bytes'), found.length * `seenada${properties}`.length);
  return found;
}

/** The UUIDs of a project's events, without hyphens and sorted. */
export async function storedEvents(
  { mongo }: Pick<FaultSilo, 'mongo'>,
  projectId: string,
): Promise<string[]> {
  const found = await mongo
    .db('silo_project')
    .collection<Document>('captured_events')
    .find({ '_id.project': projectId }, { readConcern: { level: 'majority' } })
    .toArray();
  return found.map(({ _id }) => _id.uuid.toString('hex')).sort();
}
