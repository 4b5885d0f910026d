import { randomUUID } from 'node:crypto';
import type { SignedUp } from '../../harness/clients.ts';
import { eventually } from '../../harness/eventually.ts';
import { delayCommits, releaseAll } from '../fail-points.ts';
import type { FaultSilo } from '../fault-silo.ts';
import { postBody, storedNamed } from './batches.ts';

/** A deployment with edges, whatever its MongoDB. */
export type Raced = Pick<FaultSilo, 'edges' | 'mongo' | 'signUp'>;

/** What a race came to, in events. */
export type Tally = {
  taken: number;
  refused: number;
  /** Got 503. */
  unavailable: number;
  /** How often RegenerateProjectToken or DeleteProject has returned. */
  ends: number;
  /** What was stored after they had returned. */
  late: string[];
  /** What was answered with 200 and is not there. */
  missing: string[];
};

type RaceOptions = {
  projects: number;
  /** Of a project, at each edge. */
  senders: number;
  perBatch: number;
  /** How long MongoDB takes for each commit of project; 400 ms unless given. */
  commitMs?: number;
  isOver(tally: Tally): boolean;
  log?(line: string): void;
};

/** From the beginning of a token, or of its project's life, to the end: its events have this name. */
type Period = {
  token: string;
  name: string;
  /** Requests without an answer. */
  open: number;
  taken: number;
  takenBy: Map<string, number>;
  /** Since the end has returned. */
  refusedBy: Map<string, number>;
  hasEnded: boolean;
};

/** An edge takes so many batches before the end, and refuses so many after it. */
const batchesEach = 3;
/**
 * With those that wait for each other captures then take longer than a guard needs to acknowledge
 * the end of a token by its renewals: some are on their way whenever a token ends.
 */
const commitDefaultMs = 400;

/**
 * Sends events of projects through every edge without a pause. Each project's token is regenerated,
 * or the project is deleted and undeleted, again and again; every edge gets the old token before,
 * during and after that, while MongoDB takes its time for commits. Counts what is stored after the
 * RPC has returned.
 */
export async function race(silo: Raced, options: RaceOptions): Promise<Tally> {
  const tally: Tally = {
    ...{ taken: 0, refused: 0, unavailable: 0, ends: 0 },
    ...{ late: [], missing: [] },
  };
  const owners = Array.from({ length: options.projects }, (_, index) =>
    silo.signUp(`Owner ${index}`),
  );
  await delayCommits(silo.mongo, 'project', options.commitMs ?? commitDefaultMs);
  await Promise.all(owners.map(async (owner) => raceOne(silo, await owner, tally, options)));
  await releaseAll(silo.mongo);
  return tally;
}

async function raceOne(
  { edges, mongo }: Raced,
  owner: SignedUp,
  tally: Tally,
  { senders, perBatch, isOver, log = () => {} }: RaceOptions,
): Promise<void> {
  const { projectId } = owner;
  let period = newPeriod(owner.projectToken);
  let isStopped = false;
  const flood = async (url: string) => {
    while (!isStopped) await sendBatch(url, period, { perBatch, tally });
  };
  const ended = new Map<Period, number>();
  const floods = Promise.all(
    edges.flatMap(({ url }) => Array.from({ length: senders }, () => flood(url))),
  );
  const raced = async () => {
    for (let round = 0; !isOver(tally); round++) {
      const old = period;
      await eventually(() => demandEach(edges, old.takenBy, 'taken'));
      const isDeletion = round % 2 === 1;
      const token = isDeletion ? old.token : await regenerate(owner);
      if (isDeletion) await deleteProject(owner);
      const atReturn = await storedNamed(mongo, projectId, old.name);
      old.hasEnded = true;
      tally.ends++;
      ended.set(old, atReturn);
      await eventually(() => demandEach(edges, old.refusedBy, 'refused'));
      period = newPeriod(token);
      await eventually(() => {
        if (old.open > 0) throw new Error(`${old.open} requests have no answer`);
      });
      const later = (await storedNamed(mongo, projectId, old.name)) - atReturn;
      if (later > 0) tally.late.push(`${later} of ${old.name} of ${projectId}`);
      if (isDeletion) await undeleteProject(owner);
      log(`${tally.ends} ends, ${tally.taken} events taken, ${tally.refused} refused`);
    }
  };
  try {
    await Promise.race([raced(), floods]);
  } finally {
    isStopped = true;
  }
  await floods;
  for (const [old, atReturn] of ended) {
    const stored = await storedNamed(mongo, projectId, old.name);
    if (stored > atReturn) tally.late.push(`${stored - atReturn} of ${old.name}, at the end`);
    if (stored < old.taken) tally.missing.push(`${old.taken - stored} of ${old.name}`);
  }
}

function newPeriod(token: string): Period {
  return {
    ...{ token, name: randomUUID(), open: 0, taken: 0, hasEnded: false },
    ...{ takenBy: new Map(), refusedBy: new Map() },
  };
}

async function sendBatch(
  url: string,
  period: Period,
  { perBatch, tally }: { perBatch: number; tally: Tally },
): Promise<void> {
  const batch = Array.from({ length: perBatch }, () => ({
    ...{ event: period.name, distinct_id: 'ada', uuid: randomUUID() },
    properties: { $host: 'app.example.com' },
  }));
  const wasOver = period.hasEnded;
  period.open++;
  const { status } = await postBody(url, JSON.stringify({ api_key: period.token, batch }));
  period.open--;
  if (status === 200) {
    tally.taken += perBatch;
    period.taken += perBatch;
    add(period.takenBy, url);
  } else if (status === 401) {
    tally.refused += perBatch;
    if (wasOver) add(period.refusedBy, url);
  } else if (status === 503) tally.unavailable += perBatch;
  else throw new Error(`${status} of ${url}`);
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function demandEach(edges: Raced['edges'], counts: Map<string, number>, what: string): void {
  const missing = edges.filter(({ url }) => (counts.get(url) ?? 0) < batchesEach);
  if (missing.length > 0) throw new Error(`${missing.length} edges have ${what} too few batches`);
}

/** Answers the new token. */
async function regenerate({ api, projectId }: SignedUp): Promise<string> {
  const request = { projectId, expectedFingerprint: '', requestId: randomUUID() };
  const { projectToken } = await eventually(() =>
    api.projectTokens.regenerateProjectToken(request),
  );
  return projectToken?.token ?? '';
}

async function deleteProject({ api, projectId }: SignedUp): Promise<void> {
  const request = { projectId, etag: '', requestId: randomUUID() };
  await eventually(() => api.projects.deleteProject(request));
}

async function undeleteProject({ api, projectId }: SignedUp): Promise<void> {
  const request = { projectId, requestId: randomUUID() };
  await eventually(() => api.projects.undeleteProject(request));
}
