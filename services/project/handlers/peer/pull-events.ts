import type {
  PullEventsRequest,
  PullEventsResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { pack, rangeFrom } from '../../peer-messages.ts';
import type { EventRange } from '../../rules/events/event-range.ts';
import type { Changes } from '../../store/migration-changes.ts';
import type { EventReader } from '../../store/migration-events.ts';
import { type PeerCall, requireReadable } from './peer-records.ts';
import { readSome, type SourceDependencies } from './read-events.ts';

/** Maximum time between two steps. */
const quietMs = 1_000;
/**
 * Time to gather changes for a step. Each step is a transaction of the destination: few large ones
 * take less time than many small ones.
 */
const gatherMs = 20;

/**
 * PullEvents: sends ranges and changes in turn. A range is read after all changes that are sent
 * before it, so that a change that is sent later is never older than the range.
 */
export async function* pullEvents(
  { migrationId, after, isScanned, resumeToken, digestsOnly }: PullEventsRequest,
  call: PeerCall,
  { migrationSource, migrations, streams }: SourceDependencies,
): AsyncGenerator<PullEventsResponse> {
  const { projectId } = await requireReadable(migrations, migrationId, 'copy', call);
  using pull = streams.openPull(migrationId, call);
  const { signal } = pull;
  const followed = { projectId, migrationId, resumeToken };
  await using changes = await migrationSource.follow(followed, signal);
  await using scanner = await migrationSource.openReader(projectId, signal);
  await using reader = await migrationSource.openReader(projectId, signal);
  const read = (range: EventRange) => {
    const reading = readSome(scanner, range, { digestsOnly, signal });
    reading.catch(() => {}); // awaited in the next iteration, unless the call ends first
    return reading;
  };
  let unscanned = isScanned ? undefined : rangeFrom({ after, last: undefined });
  let ahead: ReturnType<typeof read> | undefined;
  let token: Buffer = resumeToken;
  for (;;) {
    const scanned = await ahead;
    if (scanned) unscanned = scanned.rest;
    const taken = changes.take();
    if (taken.isRecordChanged) await requireReadable(migrations, migrationId, 'copy', call);
    if (taken.time) {
      scanner.see(taken.time);
      reader.see(taken.time);
    }
    ahead = unscanned && read(unscanned);
    const { lagMs, resumeToken: reached } = taken;
    // If nothing has changed, the range carries the new token: the destination merges consecutive
    // ranges.
    if (scanned && isQuiet(taken)) token = reached;
    if (scanned) yield step({ $case: 'range', value: scanned.some }, token, lagMs);
    if (scanned === undefined || !isQuiet(taken)) {
      for await (const response of changeSteps(reader, taken, token, signal)) {
        token = response.resumeToken;
        yield response;
      }
    }
    if (ahead === undefined) {
      await changes.wait(quietMs, signal);
      await systemSleep(gatherMs, signal);
    }
  }
}

/**
 * The steps of some changes. Only the last step has their token; after an interruption the others
 * are sent again.
 */
async function* changeSteps(
  reader: EventReader,
  { uuids, fencedAttempt, resumeToken, lagMs }: Changes,
  former: Buffer,
  signal: AbortSignal,
): AsyncGenerator<PullEventsResponse> {
  let left: readonly Uint8Array[] = uuids;
  do {
    const read = left.length > 0 ? await reader.byUuid(left, signal) : { documents: [], left };
    const waiting = new Set(read.left);
    const value = {
      uuids: left.filter((uuid) => !waiting.has(uuid)).map((uuid) => Buffer.from(uuid)),
      documents: await pack(read.documents),
    };
    left = read.left;
    const isLast = left.length === 0 && fencedAttempt === undefined;
    const reached = isLast ? resumeToken : former;
    yield step({ $case: 'changes', value }, reached, lagMs);
  } while (left.length > 0);
  if (fencedAttempt === undefined) return;
  yield step({ $case: 'fencedAttempt', value: fencedAttempt }, resumeToken, lagMs);
}

/** Whether no event has changed and no attempt was fenced. */
function isQuiet({ uuids, fencedAttempt }: Changes): boolean {
  return uuids.length === 0 && fencedAttempt === undefined;
}

function step(
  step: NonNullable<PullEventsResponse['step']>,
  resumeToken: Buffer,
  lagMs: number,
): PullEventsResponse {
  return { step, resumeToken, lagMs };
}
