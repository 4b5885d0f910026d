import type { Clock } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { Peers } from '@silo/service/peers.ts';
import type { CountedUse, DeadTokenCounter } from '../capture/dead-token-counter.ts';
import type { DeadTokenStore } from '../store/dead-tokens.ts';
import { each } from './each.ts';

const intervalMs = 2_000;
/**
 * Number of projects whose uses are stored concurrently: 1,000 take less than the 5 s of a report.
 */
const atOnce = 8;
/** Timeout of one turn. Requests are counted meanwhile for the next turn. */
const turnMsMax = 10_000;
const lastTurnMsMax = 1_000;

type Dependencies = {
  deadTokenCounter: Pick<DeadTokenCounter, 'take' | 'ignore' | 'putBack'>;
  deadTokens: Pick<DeadTokenStore, 'add'>;
  directory: Pick<Peers['token']['directory'], 'findTokenProjects'>;
  clock: Clock;
  log: Log;
};

/** Stores the uses of dead tokens that this process has counted, until the signal aborts. */
export async function reportDeadTokens(
  dependencies: Dependencies,
  signal: AbortSignal,
): Promise<void> {
  const options = { name: 'report-dead-tokens', intervalMs, signal, log: dependencies.log };
  await runForever({ ...options, capMs: intervalMs }, () =>
    reportCounted(dependencies, AbortSignal.any([signal, AbortSignal.timeout(turnMsMax)])),
  );
  await reportCounted(dependencies, AbortSignal.timeout(lastTurnMsMax)).catch(() => {});
}

/**
 * One turn. Reports only tokens that a project has, or had in the last year, even if only another
 * region knows that. Uses that could not be stored are put back for the next turn.
 * @internal Exported for tests.
 */
export async function reportCounted(
  dependencies: Dependencies,
  signal: AbortSignal,
): Promise<void> {
  const { deadTokenCounter, deadTokens, clock } = dependencies;
  const counted = deadTokenCounter.take();
  if (counted.length === 0) return;
  const byProject = await byProjectOf(counted, dependencies, signal).catch((error: unknown) => {
    deadTokenCounter.putBack(counted);
    throw error;
  });
  await each([...byProject], atOnce, async ([projectId, those]) => {
    try {
      const added = those.map(({ use }) => use);
      await deadTokens.add(projectId, added, clock.now(), signal);
    } catch (error) {
      deadTokenCounter.putBack(those);
      throw error;
    }
  });
}

async function byProjectOf(
  counted: readonly CountedUse[],
  { deadTokenCounter, directory }: Dependencies,
  signal: AbortSignal,
): Promise<Map<string, CountedUse[]>> {
  const tokenHashes = [
    ...new Map(counted.map(({ tokenHash }) => [hex(tokenHash), tokenHash])).values(),
  ];
  const { tokens } = await directory.findTokenProjects({ tokenHashes }, { signal });
  const projectIds = new Map(tokens.map(({ tokenHash, projectId }) => [hex(tokenHash), projectId]));
  deadTokenCounter.ignore(tokenHashes.filter((tokenHash) => !projectIds.has(hex(tokenHash))));
  const projectOf = ({ tokenHash, projectId }: CountedUse) =>
    projectIds.get(hex(tokenHash)) ?? projectId ?? '';
  const byProject = Map.groupBy(counted, projectOf);
  byProject.delete('');
  return byProject;
}

function hex(hash: CountedUse['tokenHash'] | Uint8Array): string {
  return Buffer.from(hash).toString('hex');
}
