import { StoredEvent } from '@silo/project-service/store/stored-event.ts';
import type { Migration } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { handoversIn, type Probed } from '../../harness/region-probe.ts';
import type { Sent } from './sender.ts';

/** The result of a run. All lists except the last three must be empty. */
export type Outcome = {
  /** Answered with success, and not stored. */
  lost: string[];
  doubled: string[];
  /** Stored, but sent by no sender. */
  foreign: string[];
  /** Stored in the region that the project has left, and different from the other region. */
  different: string[];
  /** Not removed by a purge. */
  kept: string[];
  /** Dropped by SDKs because of a refusal. */
  refused: string[];
  /** Why the fault affected something else than intended. */
  missed: string[];
  handovers: { seen: number; expected: number };
  /** Given up by an SDK's own rule, without an answer of success. */
  givenUp: string[];
  attempts: number;
  holdsMs: number[];
  sent: number;
};

/** What was sent, answered and stored. */
type Found = {
  /** UUIDs of the events that were stored before. */
  captured: readonly string[];
  sent: readonly Sent[];
  probed: Probed;
  moves: readonly Migration[];
  missed: string[];
  isPurged: boolean;
  /** The events in the present region, and in the former one, by UUID. */
  stored: ReadonlyMap<string, Buffer>;
  left: ReadonlyMap<string, Buffer>;
};

/** Compares what was sent with what is stored. */
export function outcomeOf({
  captured,
  sent,
  probed,
  moves,
  stored,
  left,
  ...found
}: Found): Outcome {
  const uuids = new Set([...captured, ...probed.stored]);
  const events = [...stored.values()].map((bytes) => new StoredEvent(bytes));
  const acknowledged = sent.flatMap((each) => each.acknowledged);
  const refused = sent.flatMap((each) => each.refused);
  const givenUp = sent.flatMap((each) => each.givenUp);
  const attempted = new Set(sent.flatMap((each) => each.names));
  const names = events.map(({ name }) => name).filter((name) => attempted.has(name));
  const isStored = new Set(names);
  const allowed = new Set([...uuids, ...probed.unknown]);
  return {
    lost: [
      ...[...uuids].filter((uuid) => !stored.has(uuid)),
      ...acknowledged.filter((name) => !isStored.has(name)),
    ],
    doubled: names.filter((name, index) => names.indexOf(name) !== index),
    foreign: events
      .filter(({ uuid, name }) => !allowed.has(uuid) && !attempted.has(name))
      .map(({ uuid, name }) => `${uuid} ${name}`),
    different: [...left]
      .filter(([uuid, bytes]) => !stored.get(uuid)?.equals(bytes))
      .map(([uuid]) => uuid),
    kept: found.isPurged ? [...left.keys()] : [],
    ...{ refused, givenUp, missed: found.missed },
    handovers: { seen: handoversIn(probed.accepted), expected: moves.length },
    attempts: moves.reduce((sum, { progress }) => sum + (progress?.cutoverAttempts ?? 0), 0),
    holdsMs: moves.map(({ progress }) => progress?.holdMs ?? 0),
    sent: attempted.size,
  };
}

/** Everything that is wrong with the run, one line each. */
export function faultsOf(outcome: Outcome): string[] {
  const { lost, doubled, foreign, different, kept, refused, missed, handovers } = outcome;
  return [
    ...Object.entries({ lost, doubled, foreign, different, kept, refused, missed })
      .filter(([, list]) => list.length > 0)
      .map(([what, list]) => `${list.length} ${what}: ${list.slice(0, 3).join(', ')}`),
    ...(handovers.seen === handovers.expected
      ? []
      : [`${handovers.seen} handovers instead of ${handovers.expected}`]),
  ];
}
