import { freePort } from '@silo/embedded/ports.ts';
import { StoredEvent } from '@silo/project-service/store/stored-event.ts';
import type { Region } from '@silo/tokens/ids.ts';
import type { Document } from 'mongodb';
import type { Deployment } from '../invariants/snapshot.ts';
import type { Clients } from './clients.ts';
import { portOf } from './processes.ts';
import { prepareTestSilo, startAll, type TestSilo } from './silo.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** A deployment that is one of two regions, in this process or in others. */
export type RegionalSilo = Clients &
  Deployment & {
    region: Region;
    /** The URL to which SDKs of this region send events. */
    edgeUrl: string;
    /** The proxy in front of its project service, by which the other region reaches it. */
    link: TcpProxy;
  };

type TestRegion = TestSilo & RegionalSilo;

/** Two regions that know each other. */
export type TestRegions = AsyncDisposable & { us: TestRegion; eu: TestRegion };

type Settings = NonNullable<Parameters<typeof prepareTestSilo>[0]>;

/**
 * Starts two Silos in this process, each with an HTTP edge, on the run's servers: they share these
 * servers, but no database and no stream.
 */
export async function startTestRegions(settings: Settings = {}): Promise<TestRegions> {
  await using started = new AsyncDisposableStack();
  const prepare = async (region: Region): Promise<TestRegion & { others: Map<Region, string> }> => {
    const edge = { host: '127.0.0.1', port: await freePort() };
    const others = new Map<Region, string>();
    const options = { ...settings, region, edgeAddress: edge, regionAddresses: others };
    const silo = started.use(await prepareTestSilo(options));
    const link = started.use(await TcpProxy.start([portOf(silo.addresses.project.internal)]));
    return { ...silo, region, edgeUrl: `http://${edge.host}:${edge.port}`, link, others };
  };
  const [us, eu] = [await prepare('us'), await prepare('eu')];
  us.others.set('eu', eu.link.address);
  eu.others.set('us', us.link.address);
  await Promise.all([startAll(us), startAll(eu)]);
  const running = started.move();
  return { us, eu, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** A project's events in a region, by UUID, as stored bytes. */
export async function storedEvents(
  { mongo, databasePrefix }: Pick<Deployment, 'mongo' | 'databasePrefix'>,
  projectId: string,
): Promise<Map<string, Buffer>> {
  const events = mongo.db(`${databasePrefix}_project`).collection('captured_events');
  const cursor = events.find({ '_id.project': projectId } as Document, {
    raw: true,
    readConcern: { level: 'majority' },
  });
  const found = new Map<string, Buffer>();
  for await (const document of cursor) {
    // Copied, because the driver reads many documents into one buffer.
    const bytes = Buffer.from(document as unknown as Uint8Array);
    found.set(new StoredEvent(bytes).uuid, bytes);
  }
  return found;
}
