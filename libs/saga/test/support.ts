import { randomUUID } from 'node:crypto';
import { createEventLog } from '@silo/log/event-log.ts';
import { logMigrations } from '@silo/log/set-up.ts';
import { connectMongo, type MongoConnection } from '@silo/mongo/connect.ts';
import { prepare } from '@silo/mongo/test/support.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { type Log, silentLogger } from '@silo/runtime/log.ts';
import type { ExecutionContext } from 'ava';
import type { ClientSession } from 'mongodb';
import { pino } from 'pino';
import { required } from '../../../test/harness/environment.ts';
import { untilAnswered } from '../../../test/harness/eventually.ts';
import type { SagaDefinition } from '../definition.ts';
import { sagaMigrations } from '../saga-records.ts';
import { createSagas } from '../sagas.ts';

export type State = 'DECIDED' | 'FIRST' | 'SECOND' | 'DONE';
export type Data = { effects: string[] };
type Timing = { leaseMs: number; renewMs: number; recoverMs?: number; stepDeadlineMs?: number };

/** One service's database, in which processes start and end. */
export async function openService(t: ExecutionContext) {
  const database = `saga_${randomUUID().slice(0, 8)}`;
  const stop = new AbortController();
  const logged: Record<string, unknown>[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => logged.push(JSON.parse(line)) });
  const process = await openProcess(database, { log, signal: stop.signal });
  const { client, db, start } = process;
  await prepare(db, logMigrations);
  await prepare(db, sagaMigrations);
  t.teardown(async () => {
    stop.abort();
    await db.dropDatabase();
    await process[Symbol.asyncDispose]();
  });
  /** Lets this much time pass for the leases of all sagas. */
  const passTime = async (ms: number) => {
    const earlier = { $subtract: ['$ownerUntil', ms] };
    await db.collection('sagas').updateMany({}, [{ $set: { ownerUntil: earlier } }]);
  };
  return { client, db, database, start, passTime, logged, signal: stop.signal };
}

/** What all owners of one process share. */
export async function openProcess(
  database: string,
  { signal: stopped, log = silentLogger() }: { signal: AbortSignal; log?: Log },
) {
  const located = { url: required('MONGODB_URL'), database, appName: database };
  const { client, db, ...mongo }: MongoConnection = await untilAnswered(() =>
    connectMongo(located),
  );
  const eventLog = createEventLog({
    ...{ client, db, service: 'org', region: 'us', clock: systemClock, log },
  });
  const start = (definition: SagaDefinition<State, Data>, timing?: Timing) => {
    const life = new AbortController();
    const signal = AbortSignal.any([life.signal, stopped]);
    const sagas = createSagas({
      ...{ db, eventLog, owner: randomUUID(), log, definitions: [definition], signal },
      ...(timing && { timing }),
    });
    const begin = (
      id: string,
      lock?: string,
      effects: string[] = [],
      inTransaction?: (session: ClientSession) => Promise<unknown>,
    ) =>
      eventLog.decide({ id, actor: 'acc_1', signal, authorization: undefined }, async (tx) => {
        await inTransaction?.(tx.session);
        await sagas.begin(tx, definition, {
          ...{ id, data: { effects }, actor: 'acc_1' },
          ...(lock && { lock }),
        });
      });
    return { sagas, begin, kill: () => life.abort(new Error('killed')) };
  };
  return {
    ...{ client, db, start },
    [Symbol.asyncDispose]: async () => {
      await eventLog[Symbol.asyncDispose]();
      await mongo[Symbol.asyncDispose]();
    },
  };
}

/** A saga whose steps record, once each, that they ran: in a shared set, and in its data. */
export function listing(
  world: Set<string>,
  hook: (point: string, sagaId: string) => void = () => {},
) {
  const step = (name: string, next: State) => async (saga: { _id: string; data: Data }) => {
    hook(`before ${name}`, saga._id);
    world.add(name);
    hook(`after ${name}`, saga._id);
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
