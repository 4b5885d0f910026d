import { join } from 'node:path';
import { issueCertificate, openCertificateAuthority } from '@silo/embedded/certificates.ts';
import { startMongod } from '@silo/embedded/mongod.ts';
import { obtain } from '@silo/embedded/obtain.ts';
import { connectMongo } from '@silo/mongo/connect.ts';
import { migrate } from '@silo/mongo/migrations.ts';
import { openCopy } from '@silo/project-service/migration/copy.ts';
import type { CopySource } from '@silo/project-service/migration/copy-types.ts';
import { storeMigrations } from '@silo/project-service/store/set-up.ts';
import { MigrationPeerServiceClient } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { connect, createChannel } from '@silo/rpc/client.ts';
import type { TlsFiles } from '@silo/rpc/tls.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { newId } from '@silo/tokens/ids.ts';
import { BSON, type Db } from 'mongodb';
import { startForked } from '../../harness/forked.ts';
import type { Bench } from '../bench-servers.ts';
import { BareEvents, captureSamples, copies } from '../captured.ts';
import { Live } from '../live.ts';
import { median } from '../measure.ts';
import type { MigrationSourceOptions } from '../migration-source.ts';
import { type Measured, perSecond, type Row } from '../row.ts';
import { createTenant } from '../tenant.ts';

const eventCount = 100_000;
const sampleCount = 2_000;
const batchSize = 1_000;
const rounds = 3;
const withinMs = 60 * 60 * 1_000;
const [sourceRegion, destinationRegion] = ['us', 'eu'];

/**
 * Events per second of a project that another region copies and compares, from the first call to
 * the last comparison, between two mongod and two processes over mutual TLS. The floor: a loop of a
 * bare raw `find` in the order of the index and an `insertMany` of its result, from one process,
 * between the same servers, with the same indexes and equally durable.
 */
export const migrationCopy: Row = {
  name: 'migration-copy',
  unit: 'events/s',
  goal: { of: 'ratio', atLeast: 0.8 },
  about: `copy and comparison of ${eventCount} events (--events, such as 1000000); floor: a bare loop of raw find and insertMany; beside: the second comparison, before the cutover`,
  run: measure,
};

async function measure(bench: Bench): Promise<Measured> {
  const silo = await bench.silo();
  await using live = new Live(silo);
  using tenant = await createTenant(silo, live, { projects: 1 });
  const samples = await captureSamples(silo, live, tenant, sampleCount);
  await using stack = new AsyncDisposableStack();
  const { path: binary } = await obtain('mongod', { log: () => {} });
  const [source, destination] = await Promise.all(
    ['copy-source', 'copy-destination'].map(async (name) =>
      stack.use(await startMongod({ binary, directory: join(bench.directory, name) })),
    ),
  );
  if (source === undefined || destination === undefined) throw new TypeError('two are started');
  const count = bench.events ?? eventCount;
  const projectId = newId('prj');
  const from = stack.use(await BareEvents.open(source.url, 'bench_source'));
  await from.createLike(live.collection('project', 'captured_events'));
  await from.load(copies(samples, [projectId], count));
  const certificates = await makeCertificates(join(bench.directory, 'regions'));
  const options: MigrationSourceOptions = {
    ...{ mongodb: source.url, database: 'bench_source', projectId },
    ...{ region: sourceRegion, otherRegion: destinationRegion, tls: certificates.source },
  };
  const file = new URL('../migration-source.ts', import.meta.url);
  const { ready: address } = stack.use(await startForked<string>(file, options));
  const channel = stack.use(createChannel(address, certificates.destination));
  const peer = connect(MigrationPeerServiceClient, channel, { refusals: true });
  const measured: { floor: number; measured: number; againMs: number }[] = [];
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    const run = async (side: string, copy: (db: Db) => Promise<Copied>) => {
      const database = `bench_${side}_${round}`;
      await using connection = await connectMongo({ url: destination.url, database, appName: '' });
      const { db } = connection;
      const signal = AbortSignal.timeout(withinMs);
      await migrate(db, storeMigrations, { owner: 'bench', signal, log: silentLogger() });
      const startMs = performance.now();
      const { againMs } = await copy(db);
      const seconds = (performance.now() - startMs - againMs) / 1_000;
      const copied = await db.collection('captured_events').countDocuments();
      if (copied !== count) throw new Error(`${copied} of ${count} events are copied`);
      await db.dropDatabase();
      return { rate: count / seconds, againMs };
    };
    const floor = await run('floor', (db) => bareCopy(from.collection, db, projectId));
    const ours = await run('copy', (db) => ownCopy(peer, db, projectId, round));
    const { againMs } = ours;
    if (round > 0) measured.push({ floor: floor.rate, measured: ours.rate, againMs });
  }
  const byRatio = measured.toSorted((a, b) => a.measured / a.floor - b.measured / b.floor);
  const ratioAt = (index: number) => {
    const { floor = Number.NaN, measured: own = Number.NaN } = byRatio.at(index) ?? {};
    return own / floor;
  };
  const middle = byRatio[Math.floor(byRatio.length / 2)] ?? { floor: 0, measured: 0 };
  const row = perSecond({ ...middle, lowestRatio: ratioAt(0), highestRatio: ratioAt(-1) });
  const againMs = median(measured.map((round) => round.againMs));
  const perEvent = ((againMs * 1_000) / count).toFixed(1);
  const again = `second comparison ${againMs.toFixed(0)} ms, ${perEvent} µs an event`;
  return { ...row, remark: `${row.remark}; ${again}` };
}

/** The duration of the second comparison, if there is one. */
type Copied = { againMs: number };

/** Decodes each type of BSON without loss, so that the floor is lossless, too. */
const faithfully = { promoteValues: false, promoteLongs: false, promoteBuffers: false };

async function bareCopy(
  from: BareEvents['collection'],
  db: Db,
  projectId: string,
): Promise<Copied> {
  const found = from.find<Uint8Array>(
    { '_id.project': projectId },
    { raw: true, hint: 'by_time', sort: { time: 1, '_id.uuid': 1 }, batchSize },
  );
  const to = db.collection('captured_events');
  while (await found.hasNext()) {
    const documents = found.readBufferedDocuments();
    await to.insertMany(
      documents.map((document) => BSON.deserialize(document, faithfully)),
      { writeConcern: { w: 'majority', journal: true } },
    );
  }
  return { againMs: 0 };
}

async function ownCopy(
  peer: CopySource,
  db: Db,
  projectId: string,
  round: number,
): Promise<Copied> {
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, AbortSignal.timeout(withinMs)]);
  const migration = { id: newId('mig_us'), projectId, digestsOnly: false };
  const log = silentLogger();
  const options = { db, peer, migration, fence: round, log, clock: systemClock };
  const copy = await openCopy(options, signal);
  const running = copy.run(signal);
  await Promise.race([copy.verifyAll(signal), running]);
  const verifiedMs = performance.now();
  await Promise.race([copy.verifyAgain(signal), running]);
  const againMs = performance.now() - verifiedMs;
  over.abort();
  await running.catch(() => {});
  return { againMs };
}

/** Certificates of a service in each of two regions with one CA. */
async function makeCertificates(
  directory: string,
): Promise<{ source: TlsFiles; destination: TlsFiles }> {
  const authority = await openCertificateAuthority(directory, { region: sourceRegion });
  const issue = async (region: string) => {
    const issuing = { ...authority, directory: join(directory, region), region };
    const holder = { role: 'service', name: 'project' } as const;
    const { certificate: cert, key } = await issueCertificate(issuing, holder);
    return { ca: authority.certificateFile, cert, key };
  };
  return { source: await issue(sourceRegion), destination: await issue(destinationRegion) };
}
