/**
 * The invariants that a deployment's data can show; checked on a live deployment after every fault.
 * They hold at any time, even while services work or are down.
 */
import type { ExecutionContext } from 'ava';
import { eventually } from './harness/eventually.ts';
import { checkEventLogs } from './invariants/event-logs.ts';
import { checkOrganizations } from './invariants/organizations.ts';
import { checkProjects } from './invariants/projects.ts';
import { checkSagas } from './invariants/sagas.ts';
import { checkSecrets } from './invariants/secrets.ts';
import { type Deployment, readSnapshot, type Snapshot } from './invariants/snapshot.ts';
import { checkStream, readStream, type Streamed } from './invariants/stream.ts';
import { checkTokens } from './invariants/tokens.ts';
import type { Violation } from './invariants/violation.ts';

/** All violations in a deployment's data and events; empty if all invariants hold. */
export async function checkInvariants(deployment: Deployment): Promise<Violation[]> {
  const snapshot = await readSnapshot(deployment);
  return check(snapshot, await readStream(deployment));
}

/**
 * Waits until no work is pending and all events are published, and fails the test on a violation.
 */
export async function invariantsHold(t: ExecutionContext, deployment: Deployment): Promise<void> {
  t.deepEqual(await settledViolations(deployment), []);
}

/** The same outside a test: returns the violations. */
export async function settledViolations(deployment: Deployment): Promise<Violation[]> {
  const { snapshot, streamed } = await eventually(async () => {
    const settled = await readSnapshot(deployment);
    const published = await readStream(deployment);
    const waiting = unsettled(settled, published);
    if (waiting.length > 0) throw new Error(`still under way: ${waiting.join('; ')}`);
    return { snapshot: settled, streamed: published };
  });
  return check(snapshot, streamed);
}

function check(snapshot: Snapshot, streamed: Streamed[]): Violation[] {
  return [
    ...checkProjects(snapshot),
    ...checkOrganizations(snapshot),
    ...checkTokens(snapshot),
    ...checkSagas(snapshot),
    ...checkEventLogs(snapshot),
    ...checkStream(snapshot, streamed),
    ...checkSecrets(snapshot, streamed),
  ];
}

function unsettled({ logs }: Snapshot, streamed: Streamed[]): string[] {
  return Object.values(logs).flatMap(({ service, sagas, outbox, sequence }) => {
    const reach = Math.max(
      0,
      ...streamed.filter((each) => each.service === service).map((each) => each.sequence),
    );
    return [
      ...sagas.filter(({ open }) => open).map((saga) => `saga ${saga.kind} is ${saga.state}`),
      ...(outbox.length > 0 ? [`${service} has ${outbox.length} groups to sequence`] : []),
      ...(reach < sequence ? [`${service} is published up to ${reach} of ${sequence}`] : []),
    ];
  });
}
