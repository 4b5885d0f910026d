import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startMongod } from '@silo/embedded/mongod.ts';
import { obtain } from '@silo/embedded/obtain.ts';
import { connectMongo } from '@silo/mongo/connect.ts';
import { checkFilter } from '@silo/project-service/rules/events/filter.ts';
import { createEventQueries } from '@silo/project-service/store/event-queries.ts';
import { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { newId } from '@silo/tokens/ids.ts';
import type { Bench } from '../bench-servers.ts';
import { BareEvents, captureSamples, copies, type StoredEvent } from '../captured.ts';
import { Live } from '../live.ts';
import { compareLatencies, type Operation } from '../measure.ts';
import { type Measured, milliseconds, type Row } from '../row.ts';
import { createTenant } from '../tenant.ts';
import { commonHost } from '../web-events.ts';

const eventCount = 1_000_000;
const fewEvents = 10_000;
const ownCount = 1_000;
const projectCount = 100;
const sampleCount = 2_000;
const pageSize = 100;
const pageWithinMs = 30_000;

/**
 * The newest 100 events with a common `$host` of a project that has 1,000 events, by the service's
 * store, among a million events of 100 other projects (by `--events` among ten million): the
 * median.
 *
 * The floor: the same among 10,000 of them, in another database of the same mongod, which serves
 * this row alone.
 */
export const queryGrowth: Row = {
  name: 'query-growth',
  unit: 'ms',
  goal: { of: 'ratio', atMost: 1.2 },
  about: `the same page of a project beside ${eventCount} events of others (--events, such as 10000000); floor: beside ${fewEvents} of them`,
  run: measure,
};

async function measure(bench: Bench): Promise<Measured> {
  const silo = await bench.silo();
  await using live = new Live(silo);
  using tenant = await createTenant(silo, live, { projects: 1 });
  const samples = await captureSamples(silo, live, tenant, sampleCount);
  const directory = join(bench.directory, 'growth');
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const { path: binary } = await obtain('mongod', { log: () => {} });
  const { url } = stack.use(await startMongod({ binary, directory }));
  const beside = async (others: number) => {
    const database = `bench_${others}`;
    const bare = stack.use(await BareEvents.open(url, database));
    const page = await pageBeside(url, database, bare, samples, others, stack);
    // Ten million events exceed the cache, so building an index at the end takes less time than
    // maintaining it.
    await bare.createLike(live.collection('project', 'captured_events'));
    return page;
  };
  const floor = await beside(fewEvents);
  const others = bench.events ?? eventCount;
  const measured = await beside(others);
  const compared = milliseconds(await compareLatencies({ floor, measured }));
  return { ...compared, remark: `${compared.remark}, beside ${others} events` };
}

/** A page of one project among this number of events of others, all in one period. */
async function pageBeside(
  url: string,
  database: string,
  bare: BareEvents,
  samples: readonly StoredEvent[],
  others: number,
  stack: AsyncDisposableStack,
): Promise<Operation> {
  const projectId = newId('prj');
  const projectIds = Array.from({ length: projectCount }, () => newId('prj'));
  await bare.load(copies(samples, [projectId], ownCount));
  await bare.load(copies(samples, projectIds, others));
  const { db } = stack.use(await connectMongo({ url, database, appName: 'bench' }));
  const queries = createEventQueries(db);
  const operator = PropertyOperator.PROPERTY_OPERATOR_EQUAL;
  const condition = { name: '$host', operator, values: [JSON.stringify(commonHost)] };
  const times = { startTime: undefined, endTime: undefined };
  const filter = checkFilter({ ...times, names: [], distinctId: '', properties: [condition] });
  const page = { deletions: [], after: undefined, size: pageSize };
  return async () => {
    const signal = AbortSignal.timeout(pageWithinMs);
    const { events } = await queries.query(projectId, filter, page, signal);
    if (events.length !== pageSize) throw new Error(`a page has ${events.length} events`);
  };
}
