import type { Clock } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { Peers } from '@silo/service/peers.ts';
import type { CountedUse, DeadTokenCounter } from '../capture/dead-token-counter.ts';
import type { DeadTokenUse } from '../rules/dead-tokens.ts';
import type { DeadTokenStore } from '../store/dead-tokens.ts';

const intervalMs = 2_000;
/** One turn, so that a token service that stands still costs the counts of few turns. */
const turnMsMax = 10_000;
const lastTurnMsMax = 1_000;

type Uses = {
  deadTokenCounter: Pick<DeadTokenCounter, 'take' | 'ignore'>;
  deadTokens: Pick<DeadTokenStore, 'add'>;
  directory: Pick<Peers['token']['directory'], 'findTokenProjects'>;
  clock: Clock;
  log: Log;
};

/** Stores, until the signal, the uses of dead tokens that this process has counted. */
export async function reportDeadTokens(uses: Uses, signal: AbortSignal): Promise<void> {
  const options = { name: 'report-dead-tokens', intervalMs, signal, log: uses.log };
  await runForever({ ...options, capMs: intervalMs }, () =>
    reportCounted(uses, AbortSignal.any([signal, AbortSignal.timeout(turnMsMax)])),
  );
  await reportCounted(uses, AbortSignal.timeout(lastTurnMsMax)).catch(() => {});
}

/**
 * One turn. Only tokens that a project has, or had in the last year, are reported, also where another
 * region alone knows that. What a failed turn has counted is lost: a report shows who still sends, not
 * every call.
 * @internal Exported for tests.
 */
export async function reportCounted(uses: Uses, signal: AbortSignal): Promise<void> {
  const { deadTokenCounter, deadTokens, directory, clock } = uses;
  const counted = deadTokenCounter.take();
  if (counted.length === 0) return;
  const tokenHashes = [
    ...new Map(counted.map(({ tokenHash }) => [hex(tokenHash), tokenHash])).values(),
  ];
  const { tokens } = await directory.findTokenProjects({ tokenHashes }, { signal });
  const projectIds = new Map(tokens.map(({ tokenHash, projectId }) => [hex(tokenHash), projectId]));
  deadTokenCounter.ignore(tokenHashes.filter((tokenHash) => !projectIds.has(hex(tokenHash))));
  const byProject = new Map<string, DeadTokenUse[]>();
  for (const { tokenHash, projectId: elsewhere, use } of counted) {
    const projectId = projectIds.get(hex(tokenHash)) ?? elsewhere;
    if (projectId === undefined) continue;
    byProject.set(projectId, [...(byProject.get(projectId) ?? []), use]);
  }
  for (const [projectId, added] of byProject) {
    await deadTokens.add(projectId, added, clock.now(), signal);
  }
}

function hex(hash: CountedUse['tokenHash'] | Uint8Array): string {
  return Buffer.from(hash).toString('hex');
}
