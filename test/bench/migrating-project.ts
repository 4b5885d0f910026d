import { dirname } from 'node:path';
import type { Endpoints } from '@silo/embedded/endpoints.ts';
import { waitUntil } from '@silo/embedded/wait-until.ts';
import type { MigrationDocument } from '@silo/project-service/store/documents.ts';
import { migrationsName } from '@silo/project-service/store/migrations.ts';
import { enumName } from '@silo/protos/enum-name.ts';
import { type Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Region } from '@silo/tokens/ids.ts';
import type { Collection } from 'mongodb';
import { openRegions } from '../demo/regional/open-regions.ts';
import { type Clients, connectClients } from '../harness/clients.ts';
import { generousLimitVariables } from '../harness/limits.ts';
import { present } from '../scenarios/choose-plan.ts';
import {
  type Ends,
  type Migrant,
  newMigrant,
  staffOf,
  started,
} from '../scenarios/migration-support.ts';
import type { Bench } from './bench-servers.ts';
import { BareEvents, captureSamples, copies, type StoredEvent } from './captured.ts';
import { Live } from './live.ts';

/** One of two regions. */
type BenchRegion = Pick<Clients, 'signUp' | 'internal'> & {
  region: Region;
  endpoints: Endpoints;
  live: Live;
  events: BareEvents;
};

/** A project that was cut over. Times are those of one machine's clock. */
export type Cutover = {
  /** When the migration began to copy. */
  startMs: number;
  /** The period in which the source held captures. */
  holdFromMs: number;
  holdUntilMs: number;
  /** How long captures were held, by the destination's record. */
  holdMs: number;
  /** If more than 1, some attempts failed. */
  attempts: number;
};

type Loaded = { migrant: Migrant<BenchRegion>; loadTime: Date };

const sampleCount = 2_000;
const warmUpPairs = 2;
const withinMs = 6 * 60 * 60 * 1_000;
const pauseMs = 200;
const { MIGRATION_STATE_DONE: doneState } = MigrationState;
const hopeless: readonly MigrationState[] = [
  MigrationState.MIGRATION_STATE_CANCELLED,
  MigrationState.MIGRATION_STATE_FAILED,
];

/** A project with events that migrates between two whole deployments, which exist only for it. */
export class MigratingProject implements AsyncDisposable {
  readonly #started: AsyncDisposable;
  readonly #migrant: Migrant<BenchRegion>;
  /** Events since then were captured. */
  readonly #loadTime: Date;

  private constructor(started: AsyncDisposable, { migrant, loadTime }: Loaded) {
    this.#started = started;
    this.#migrant = migrant;
    this.#loadTime = loadTime;
  }

  /** Starts both regions, warms them up, and loads this number of events. */
  static async open(bench: Bench, eventCount: number): Promise<MigratingProject> {
    await using stack = new AsyncDisposableStack();
    const regions = stack.use(
      await openRegions({
        log: () => {},
        signal: AbortSignal.timeout(withinMs),
        parentDirectory: bench.directory,
        // A request that waits has its own connection, and all come from one address.
        settings: generousLimitVariables,
      }),
    );
    const [from, to] = [await connectTo(regions.us, stack), await connectTo(regions.eu, stack)];
    const { source } = await newMigrant({ from, to });
    const samples = await captureSamples(from, from.live, source, sampleCount);
    const signal = AbortSignal.timeout(withinMs);
    const small = new MigratingProject(stack, await load({ from, to }, samples, sampleCount));
    for (let pair = 0; pair < warmUpPairs; pair++) await small.migrateAndRollBack(signal);
    const loaded = await load({ from, to }, samples, eventCount);
    return new MigratingProject(stack.move(), loaded);
  }

  /** The URL to which clients send its events: the edge of the source region. */
  get captureUrl(): string {
    return `${this.#migrant.from.endpoints.edge}/batch`;
  }

  /** The directory of the region to which it migrates, with all its files. */
  get destinationDirectory(): string {
    return dirname(dirname(this.#migrant.to.endpoints.ca));
  }

  get token(): string {
    return this.#migrant.projectToken;
  }

  /** Migrates to the other region, and back. */
  async migrateAndRollBack(signal: AbortSignal): Promise<{ there: Cutover; back: Cutover }> {
    const { from, to } = this.#migrant;
    const { id, cutover: there } = await this.#migrate(signal);
    const { migration } = await staffOf(from).rollbackMigration({ migrationId: id });
    return { there, back: await cutoverOf(present(migration), { from: to, to: from }, signal) };
  }

  /** Migrates to the other region. */
  async migrate(signal: AbortSignal): Promise<Cutover> {
    return (await this.#migrate(signal)).cutover;
  }

  /**
   * Removes captured events in both regions; in the region of the project there must be this
   * number.
   */
  async removeCaptured(count: number): Promise<void> {
    const { from, to, projectId } = this.#migrant;
    const captured = { '_id.project': projectId, time: { $gte: this.#loadTime } };
    const hint = 'by_time';
    const found = await from.events.collection.countDocuments(captured, { hint });
    if (found !== count) throw new Error(`${found} of ${count} events are there`);
    for (const { events } of [from, to]) await events.collection.deleteMany(captured, { hint });
  }

  /** The state of the last migration at both ends, for people. */
  async status(): Promise<string> {
    const { from, to, projectId } = this.#migrant;
    const ends = [from, to].map(async ({ region, live }) => {
      const last = await recordsOf(live).findOne({ projectId }, { sort: { requestTime: -1 } });
      if (last === null) return `${region}: no migration`;
      const { state, attempt, failure = '', putOff } = last;
      const why = [failure, putOff?.why ?? ''].join(' ').trim();
      return `${region}: ${enumName(MigrationState, state)}, attempt ${attempt} ${why}`.trim();
    });
    return (await Promise.all(ends)).join('; ');
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#started[Symbol.asyncDispose]();
  }

  async #migrate(signal: AbortSignal): Promise<{ id: string; cutover: Cutover }> {
    const migration = await started(this.#migrant);
    return { id: migration.id, cutover: await cutoverOf(migration, this.#migrant, signal) };
  }
}

function recordsOf(live: Live): Collection<MigrationDocument> {
  return live.collection<MigrationDocument>('project', migrationsName);
}

/** Creates a project, and loads this number of events into its region. */
async function load(
  ends: Ends<BenchRegion>,
  samples: readonly StoredEvent[],
  count: number,
): Promise<Loaded> {
  const migrant = await newMigrant(ends);
  await ends.from.events.load(copies(samples, [migrant.projectId], count));
  return { migrant, loadTime: new Date() };
}

async function connectTo(endpoints: Endpoints, stack: AsyncDisposableStack): Promise<BenchRegion> {
  const { ca, services, staff, mongodb, region } = endpoints;
  const clients = stack.adopt(connectClients(services, { ca, ...staff }), (each) => each.close());
  // Each call of it opens its own channels.
  const internal = clients.internal();
  return {
    ...{ signUp: clients.signUp, internal: () => internal },
    ...{ region: region as Region, endpoints },
    live: stack.use(new Live({ endpoints })),
    events: stack.use(await BareEvents.open(mongodb, 'silo_project')),
  };
}

/** Waits until a migration is done, and neither end has anything left to do for it. */
async function cutoverOf(
  { id }: Migration,
  { from, to }: Ends<BenchRegion>,
  signal: AbortSignal,
): Promise<Cutover> {
  const startMs = Date.now();
  const untilOver = ({ live }: BenchRegion) =>
    waitUntil(
      `the end of migration ${id}`,
      async () => {
        const record = present((await recordsOf(live).findOne({ _id: id })) ?? undefined);
        const { state, isOpen, failure = '' } = record;
        // While it is open the next migration is refused.
        if (state === doneState ? !isOpen : hopeless.includes(state)) return record;
        throw new Error(`its state is ${enumName(MigrationState, state)} ${failure}`);
      },
      { withinMs, signal, pauseMs },
    );
  const [record, source] = [await untilOver(to), await untilOver(from)];
  const failed = [record, source].find(({ state }) => state !== doneState);
  if (failed) throw new Error(`migration ${id} failed: ${failed.failure}`);
  return {
    startMs,
    holdFromMs: present(source.holdTime).getTime(),
    holdUntilMs: present(source.commitTime).getTime(),
    holdMs: present(record.progress.holdMs),
    attempts: source.attempt,
  };
}
