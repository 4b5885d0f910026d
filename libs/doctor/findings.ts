import { type Advice, advice, type FindingName } from './advice.ts';
import type {
  CertificateFacts,
  DatabaseFacts,
  Facts,
  MongodbFacts,
  NatsFacts,
  Offset,
  ProcessFacts,
} from './facts.ts';

/** Something that is wrong: where it is, what it is, why it matters, and what to do. */
export type Finding = Advice & { name: FindingName; where: string; what: string };

/**
 * A larger difference is an error. A clock that shows whole seconds must differ by two to be
 * noticed.
 */
const skewMaxMs = 1_000;
const expiresWithinMs = 14 * 24 * 60 * 60 * 1_000;
// A healthy relay takes less than a second, or about ten after a crash of the previous one.
const lagMaxSeconds = 30;
const sagaMaxSeconds = 60;
const transactionLifetimeMaxSeconds = 10;
/** A threshold above this never logs a command. */
const slowMinMs = 24 * 60 * 60 * 1_000;
const mongodbMajorMin = 6;
/** States of members that work. */
const memberStates: ReadonlySet<string> = new Set(['PRIMARY', 'SECONDARY', 'ARBITER']);
/** The size that the relay requires: the largest event with its headers. */
const payloadMinBytes = 132 * 1_024;
const pendingMax = 10_000;

/** The problems of a deployment; empty if it is healthy. */
export function findingsIn(facts: Facts): Finding[] {
  return [
    ...facts.processes.flatMap(({ service, address, process }) => {
      const where = `${service} at ${address}`;
      if ('unseen' in process) return [finding('process-unreachable', where, process.unseen)];
      return processFindings(where, process.seen);
    }),
    ...clockFindings(facts),
    ...facts.certificates.flatMap((each) => certificateFindings(each, facts.time)),
    ...('unseen' in facts.mongodb
      ? [finding('mongodb-unreachable', 'MongoDB', facts.mongodb.unseen)]
      : mongodbFindings(facts.mongodb.seen)),
    ...facts.databases.flatMap(({ service, database }) => {
      const where = `database of ${service}`;
      if ('unseen' in database) return [finding('database-unseen', where, database.unseen)];
      return databaseFindings(where, database.seen);
    }),
    ...('unseen' in facts.nats
      ? [finding('nats-unreachable', 'NATS', facts.nats.unseen)]
      : natsFindings(facts.nats.seen)),
    ...facts.regions.flatMap(({ region, address, answer }) =>
      'seen' in answer
        ? []
        : [finding('region-unreachable', `the region ${region} at ${address}`, answer.unseen)],
    ),
  ];
}

function finding(name: FindingName, where: string, what: string): Finding {
  return { name, where, what, ...advice[name] };
}

const healthFindings: readonly [health: string, name: FindingName, what: string][] = [
  ['silo.nats', 'nats-not-connected', 'is not connected to NATS'],
  ['silo.relay', 'relay-stalled', 'has not relayed events for 10 s or more'],
  ['silo.guard', 'guard-without-lease', 'its guard has had no read lease for 10 s or more'],
  ['silo.activity', 'activity-stalled', 'has not followed an event log for 10 s or more'],
];

function processFindings(where: string, { health }: ProcessFacts): Finding[] {
  if (health[''] === false) return [finding('process-not-serving', where, 'is NOT_SERVING')];
  return healthFindings
    .filter(([service]) => health[service] === false)
    .map(([, name, what]) => finding(name, where, what));
}

/** Finds clocks that differ from the majority; the clock of this machine is one of them. */
function clockFindings({ processes, mongodb, nats }: Facts): Finding[] {
  const clocks: { where: string; offset: Offset | undefined }[] = [
    { where: 'this machine', offset: { minMs: 0, maxMs: 0 } },
    ...processes.flatMap(({ service, address, process }) =>
      'seen' in process ? [{ where: `${service} at ${address}`, offset: process.seen.clock }] : [],
    ),
    ...('seen' in mongodb ? [{ where: 'MongoDB', offset: mongodb.seen.clock }] : []),
    ...('seen' in nats ? [{ where: 'NATS', offset: nats.seen.stream?.clock }] : []),
  ];
  const known = clocks.flatMap(({ where, offset }) => (offset ? [{ where, offset }] : []));
  const middles = known
    .map(({ offset }) => (offset.minMs + offset.maxMs) / 2)
    .sort((a, b) => a - b);
  const usualMs = middles[Math.floor((middles.length - 1) / 2)] ?? 0;
  return known.flatMap(({ where, offset }) => {
    const skewMs = Math.max(offset.minMs - usualMs, usualMs - offset.maxMs);
    if (skewMs <= skewMaxMs) return [];
    const direction = offset.minMs > usualMs ? 'fast' : 'slow';
    return [
      finding('clock-skew', where, `its clock is ${durationText(skewMs / 1_000)} ${direction}`),
    ];
  });
}

function certificateFindings({ holder, expireTime }: CertificateFacts, time: Date): Finding[] {
  const leftMs = expireTime.getTime() - time.getTime();
  if (leftMs > expiresWithinMs) return [];
  const what =
    leftMs <= 0
      ? `ended at ${expireTime.toISOString()}`
      : `ends in ${durationText(leftMs / 1_000)}, at ${expireTime.toISOString()}`;
  return [finding('certificate-expires', holder, what)];
}

function mongodbFindings(facts: MongodbFacts): Finding[] {
  const found: Finding[] = [];
  const add = (name: FindingName, what: string) => found.push(finding(name, 'MongoDB', what));
  const { version, members, transactionLifetimeSeconds, slowMs } = facts;
  if (facts.isOpen) add('mongodb-without-authentication', 'answers without a user');
  if (!facts.isReplicaSet) add('mongodb-standalone', 'is in no replica set');
  if (Number.parseInt(version, 10) < mongodbMajorMin) add('mongodb-too-old', `is ${version}`);
  for (const { name, state } of members ?? []) {
    if (!memberStates.has(state)) add('mongodb-member-unhealthy', `its member ${name} is ${state}`);
  }
  if (members === undefined || transactionLifetimeSeconds === undefined || slowMs === undefined) {
    add('mongodb-settings-unseen', 'does not show its settings to this user');
  }
  if ((transactionLifetimeSeconds ?? 0) > transactionLifetimeMaxSeconds) {
    add(
      'mongodb-transaction-lifetime',
      `transactionLifetimeLimitSeconds is ${transactionLifetimeSeconds}`,
    );
  }
  if (!facts.redactsLog && (slowMs ?? slowMinMs) < slowMinMs) {
    add('mongodb-logs-documents', `slowms is ${slowMs}`);
  }
  return found;
}

function databaseFindings(where: string, facts: DatabaseFacts): Finding[] {
  if (!facts.isSetUp) return [finding('database-not-set-up', where, 'has no event log')];
  const found = facts.missingIndexes.map(({ collection, index }) =>
    finding('index-missing', where, `the index ${index} of ${collection} is missing`),
  );
  for (const { kind, state, count, oldestSeconds } of facts.openSagas) {
    if (oldestSeconds <= sagaMaxSeconds) continue;
    const sagas = count === 1 ? 'one saga' : `${count} sagas`;
    const what = `${sagas} of ${kind} at ${state}, the oldest for ${durationText(oldestSeconds)}`;
    found.push(finding('saga-stuck', where, what));
  }
  for (const { id, failure } of facts.failedMigrations) {
    found.push(finding('migration-failed', where, `the migration ${id} was given up: ${failure}`));
  }
  const { unsequencedSeconds, unpublishedSeconds, unpublishedCount } = facts;
  if (unsequencedSeconds > lagMaxSeconds) {
    const what = `an event has waited for its sequence for ${durationText(unsequencedSeconds)}`;
    found.push(finding('events-unsequenced', where, what));
  }
  if (unpublishedSeconds > lagMaxSeconds) {
    const events = unpublishedCount === 1 ? 'one event is' : `${unpublishedCount} events are`;
    const what = `${events} not on NATS, the oldest for ${durationText(unpublishedSeconds)}`;
    found.push(finding('relay-lags', where, what));
  }
  return found;
}

function natsFindings(facts: NatsFacts): Finding[] {
  const found: Finding[] = [];
  const add = (name: FindingName, what: string) => found.push(finding(name, 'NATS', what));
  if (facts.isOpen) add('nats-without-authentication', 'accepts clients without a user');
  if (facts.payloadMaxBytes < payloadMinBytes) {
    add('nats-payload', `max_payload is ${facts.payloadMaxBytes} bytes`);
  }
  if (facts.stream === undefined) add('stream-missing', 'has no such stream');
  for (const { field, present, wanted } of facts.stream?.drift ?? []) {
    add('stream-drifted', `${field} of the stream is ${present}, not ${wanted}`);
  }
  for (const { name, pending } of facts.consumers ?? []) {
    if (pending > pendingMax) add('subscriber-lags', `${pending} events wait for consumer ${name}`);
  }
  return found;
}

/** A duration in words, in one unit. */
function durationText(seconds: number): string {
  const units = [
    [86_400, 'days'],
    [3_600, 'hours'],
    [60, 'minutes'],
  ] as const;
  const [size, unit] = units.find(([each]) => seconds >= 2 * each) ?? [1, 's'];
  return `${Math.floor(seconds / size)} ${unit}`;
}
