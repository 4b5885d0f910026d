import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { CapturedEvent } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { type Collection, MongoClient } from 'mongodb';
import { startForked } from '../../harness/forked.ts';
import type { Bench } from '../bench-servers.ts';
import { compareCpu } from '../compare-cpu.ts';
import { Bodies, batchBody, HttpClient } from '../http-load.ts';
import { Live } from '../live.ts';
import { compareThroughputs, type Load } from '../measure.ts';
import type { PeerOptions } from '../peer-server.ts';
import { type Measured, perSecond, type Row } from '../row.ts';
import { createTenant, giveTokens } from '../tenant.ts';
import { anew, webEvents } from '../web-events.ts';

const peer = 'parse-server@9.10.0';
/** Its `/batch` fails with a later router than the one it was made for. */
const overrides = { router: '2.2.0' };
const installWithinMs = 10 * 60 * 1_000;
const applicationId = 'bench';
const className = 'Event';
const projectCount = 100;
const batchSize = 100;
/** Parse Server's maximum number of requests in one batch. */
const peerBatchSize = 50;
const batchCount = 50;
const clients = 8;
const rounds = 9;
const warmUpRounds = 3;
const bodiesAhead = 4_000;
const cpuTurns = 25;

/**
 * Events per second that the HTTP edge stores, by `/batch` with gzip, 100 events each, 8 at once.
 * The floor: Parse Server of npm on the same mongod, by its `/batch` of 50 objects, 8 at once, with
 * the same fields and indexes, equally durable. npm installs it in a temporary folder.
 */
export const capturePeer: Row = {
  name: 'capture-peer',
  unit: 'events/s',
  goal: { of: 'ratio', atLeast: 8 },
  about: `POST /batch with gzip, batches of ${batchSize}, ${clients} at once; floor: ${peer}, its /batch of ${peerBatchSize}`,
  run: measure,
};

async function measure(bench: Bench): Promise<Measured> {
  const silo = await bench.silo();
  await using live = new Live(silo);
  using tenant = await createTenant(silo, live, { projects: projectCount });
  const { projectIds, projectToken } = tenant;
  const tokens = [projectToken, ...(await giveTokens(live, projectIds.slice(1)))];
  const directory = await installPeer(bench);
  await using stack = new AsyncDisposableStack();
  const databaseUrl = urlOf(silo.endpoints.mongodb, 'bench_peer');
  const client = new MongoClient(databaseUrl);
  stack.defer(() => client.close());
  await makeIndexes(client.db().collection(className));
  const options: PeerOptions = { directory, databaseUrl, applicationId };
  const file = new URL('../peer-server.ts', import.meta.url);
  const { ready: peerUrl, pid } = stack.use(await startForked<string>(file, options));
  const batches = (size: number) =>
    Array.from({ length: batchCount }, (_, seed) => webEvents(size, seed));
  const [ours, theirs] = [batches(batchSize), batches(peerBatchSize)];
  const http = stack.use(new HttpClient());
  const make = (turn: number) =>
    batchBody(tokens[turn % tokens.length] ?? '', anew(ours[turn % batchCount] ?? []));
  const bodies = new Bodies(make, bodiesAhead);
  const measured = bodies.load(http, `${silo.endpoints.edge}/batch`, clients);
  const floor = peerLoad(http, `${peerUrl}/batch`, (turn) =>
    peerBody(projectIds[turn % projectIds.length] ?? '', anew(theirs[turn % batchCount] ?? [])),
  );
  const rates = await compareThroughputs({ floor, measured }, { rounds, warmUpRounds });
  const stored = await client.db().collection(className).countDocuments();
  if (stored === 0) throw new Error(`${peer} has stored nothing`);
  const pids = {
    mongod: (await bench.serverPids()).mongod,
    service: silo.services.project.pid ?? 0,
    peer: pid,
  };
  const unit = `batch of ${batchSize}, of the floor of ${peerBatchSize}`;
  const cpu = await compareCpu(pids, { floor, measured }, { unit, turns: cpuTurns });
  const row = perSecond({
    lowestRatio: (rates.lowestRatio * batchSize) / peerBatchSize,
    highestRatio: (rates.highestRatio * batchSize) / peerBatchSize,
    floor: rates.floor * peerBatchSize,
    measured: rates.measured * batchSize,
  });
  return { ...row, remark: `${row.remark}; ${cpu}` };
}

/** Installs it in a directory of the run, and returns the directory. */
async function installPeer(bench: Bench): Promise<string> {
  const directory = join(bench.directory, 'peer');
  await mkdir(directory);
  const manifest = JSON.stringify({ private: true, overrides });
  await writeFile(join(directory, 'package.json'), manifest);
  const options = ['--no-audit', '--no-fund', '--ignore-scripts'];
  await promisify(execFile)('npm', ['install', ...options, peer], {
    cwd: directory,
    timeout: installWithinMs,
  });
  return directory;
}

/** As durable as a capture. */
function urlOf(mongodb: string, database: string): string {
  const url = new URL(mongodb);
  if (!url.searchParams.has('authSource')) url.searchParams.set('authSource', 'admin');
  url.searchParams.set('w', 'majority');
  url.searchParams.set('journal', 'true');
  url.pathname = `/${database}`;
  return url.href;
}

/** Creates the indexes of captured events. */
async function makeIndexes(events: Collection): Promise<void> {
  const newest = { time: -1, uuid: -1 } as const;
  const fields = [[], ['name'], ['distinctId'], ['host'], ['currentUrl']];
  await events.createIndexes(
    fields.map((names) => ({
      key: { project: 1, ...Object.fromEntries(names.map((name) => [name, 1])), ...newest },
    })),
  );
}

/** Its `/batch` accepts requests. It refuses property names with `$`, which are left out. */
function peerBody(project: string, events: readonly CapturedEvent[]): Buffer {
  const requests = events.map(({ uuid, name, distinctId, timestamp, properties }) => {
    const sent: Record<string, unknown> = JSON.parse(properties);
    const named = Object.entries(sent).map(([key, value]) => [key.replace('$', ''), value]);
    const body = {
      ...{ project, uuid, name, distinctId, time: { __type: 'Date', iso: timestamp } },
      ...{ host: sent.$host, currentUrl: sent.$current_url },
      properties: Object.fromEntries(named),
    };
    return { method: 'POST', path: `/classes/${className}`, body };
  });
  return Buffer.from(JSON.stringify({ requests }));
}

/** Its requests count as stored only if each of a batch succeeded. */
function peerLoad(http: HttpClient, url: string, make: (turn: number) => Buffer): Load {
  const bodies = new Bodies(make, 0);
  const headers = { 'x-parse-application-id': applicationId };
  return {
    clients,
    operation: async () => {
      const answers: { success?: object }[] = JSON.parse(
        await http.post(url, bodies.next(), { headers }),
      );
      const isGood = answers.length === peerBatchSize && answers.every(({ success }) => success);
      if (!isGood) throw new Error(`${peer} refused events: ${JSON.stringify(answers[0])}`);
    },
  };
}
