import { randomUUID } from 'node:crypto';
import { createEventLog } from '@silo/log/event-log.ts';
import { setUpEventLog } from '@silo/log/set-up.ts';
import { connectMongo } from '@silo/mongo/connect.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { fakeClock } from '@silo/runtime/test/fake-clock.ts';
import type { ExecutionContext } from 'ava';
import { pino } from 'pino';
import type { SagaDefinition } from '../definition.ts';
import { createSagaIndexes, createSagas } from '../sagas.ts';

export type State = 'DECIDED' | 'FIRST' | 'SECOND' | 'DONE';
export type Data = { effects: string[] };

const url = process.env.MONGODB_URL ?? '';

/** One service's database, in which processes come and go. */
export async function openService(t: ExecutionContext) {
  const { client, db, ...mongo } = await connectMongo({
    url,
    database: `saga_${randomUUID().slice(0, 8)}`,
    appName: t.title,
  });
  await setUpEventLog(db);
  await createSagaIndexes(db);
  const clock = fakeClock(new Date()); // what is long finished is removed
  const stop = new AbortController();
  const logged: Record<string, unknown>[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => logged.push(JSON.parse(line)) });
  const eventLog = createEventLog({
    client,
    db,
    service: 'org',
    region: 'us',
    clock: systemClock,
    log,
  });
  t.teardown(async () => {
    stop.abort();
    await eventLog[Symbol.asyncDispose]();
    await db.dropDatabase();
    await mongo[Symbol.asyncDispose]();
  });
  const start = (
    definition: SagaDefinition<State, Data>,
    options: Pick<Parameters<typeof createSagas>[0], 'clock' | 'timing'> = { clock },
  ) => {
    const life = new AbortController();
    const signal = AbortSignal.any([life.signal, stop.signal]);
    const sagas = createSagas({
      db,
      eventLog,
      owner: randomUUID(),
      log,
      definitions: [definition],
      signal,
      ...options,
    });
    return {
      sagas,
      kill: () => life.abort(new Error('killed')),
      begin: (id: string, lock?: string) =>
        eventLog.decide({ id, actor: 'acc_1', signal, authorization: undefined }, (tx) =>
          sagas.begin(tx, definition, {
            id,
            data: { effects: [] },
            actor: 'acc_1',
            ...(lock && { lock }),
          }),
        ),
    };
  };
  return { client, db, clock, start, logged, signal: stop.signal };
}

/** A saga whose steps note, once each, that they were done: in the world, and in its data. */
export function listing(world: Set<string>, hook: (point: string) => void = () => {}) {
  const step = (name: string, next: State) => async (saga: { data: Data }) => {
    hook(`before ${name}`);
    world.add(name);
    hook(`after ${name}`);
    return { next, data: { effects: [...saga.data.effects, name] } };
  };
  const definition: SagaDefinition<State, Data> = {
    kind: 'listing',
    transitions: { DECIDED: ['FIRST'], FIRST: ['SECOND'], SECOND: ['DONE'], DONE: [] },
    steps: {
      DECIDED: step('a', 'FIRST'),
      FIRST: step('b', 'SECOND'),
      SECOND: step('c', 'DONE'),
    },
  };
  return definition;
}
