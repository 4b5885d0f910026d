import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
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
  /** Lost their connection: stored or not. An edge that runs answers, so that there must be none. */
  lost: number;
  /** How often RegenerateProjectToken or DeleteProject has returned. */
  ends: number;
  /** What was stored after they had returned. */
  late: string[];
  /** What was answered with 200 and is not there. */
  missing: string[];
  /** What was still waited for when the time was over. */
  unfinished: string[];
};

type RaceOptions = {
  projects: number;
  /** Of a project, at each edge. */
  senders: number;
  perBatch: number;
  /** How long MongoDB takes for each commit of project; 400 ms unless given. */
  commitMs?: number;
  isOver(tally: Tally): boolean;
  /** Then the race ends with what it has; 15 minutes unless given. A slow machine needs longer. */
  withinMs?: number;
  log?(line: string): void;
};

/** What an edge answered to the batches of a period. */
type Answers = { taken: number; unavailable: number; lost: number; refused: number; since: number };

/** From the beginning of a token, or of its project's life, to the end: its events have this name. */
type Period = {
  token: string;
  name: string;
  /** Requests without an answer. */
  open: number;
  taken: number;
  /** By the edge's URL. `since` counts what was refused that was sent after the end had returned. */
  answers: Map<string, Answers>;
  hasEnded: boolean;
};

/** An edge takes so many batches before the end, and refuses so many after it. */
const batchesEach = 3;
/**
 * With those that wait for each other captures then take longer than a guard needs to acknowledge
 * the end of a token by its renewals: some are on their way whenever a token ends.
 */
const commitDefaultMs = 400;

/** Other work of the machine may hold up an edge that holds a request for 8 s. */
const answerMs = 10 * 60_000;
const withinDefaultMs = 15 * 60_000;
/** A wait that lasts longer than this is logged, again and again. */
const longWaitMs = 60_000;
/** What is refused is sent again, but leaves the processors to the others. */
const againMs = 20;

/**
 * Sends events of projects through every edge without a pause. Each project's token is regenerated,
 * or the project is deleted and undeleted, again and again; every edge gets the old token before,
 * during and after that, while MongoDB takes its time for commits. Counts what is stored after the
 * RPC has returned. However slow the machine is, the race ends with a tally of what was sent.
 */
export async function race(silo: Raced, options: RaceOptions): Promise<Tally> {
  const tally: Tally = {
    ...{ taken: 0, refused: 0, unavailable: 0, lost: 0, ends: 0 },
    ...{ late: [], missing: [], unfinished: [] },
  };
  const wait = patience(tally, options);
  const owners = Array.from({ length: options.projects }, (_, index) =>
    wait(() => silo.signUp(`Owner ${index}`)),
  );
  await delayCommits(silo.mongo, 'project', options.commitMs ?? commitDefaultMs);
  await Promise.all(
    owners.map(async (signingUp) => {
      const owner = await signingUp;
      if (owner !== undefined) await raceOne(silo, owner, { ...options, tally, wait });
    }),
  );
  await releaseAll(silo.mongo);
  return tally;
}

/** Answers what `look` answers once it does not throw, or undefined when the race's time is over. */
type Wait = <T>(look: () => Promise<T> | T) => Promise<T | undefined>;

function patience(tally: Tally, { withinMs = withinDefaultMs, log = () => {} }: RaceOptions): Wait {
  const endMs = performance.now() + withinMs;
  return async (look) => {
    const startMs = performance.now();
    for (;;) {
      try {
        return await eventually(look, Math.min(longWaitMs, endMs - performance.now()));
      } catch (error) {
        const waitedMs = performance.now() - startMs;
        log(`waiting for ${(waitedMs / 1_000).toFixed(0)} s: ${error}`);
        if (performance.now() < endMs) continue;
        tally.unfinished.push(String(error));
        return undefined;
      }
    }
  };
}

async function raceOne(
  { edges, mongo }: Raced,
  owner: SignedUp,
  options: RaceOptions & { tally: Tally; wait: Wait },
): Promise<void> {
  const { senders, perBatch, isOver, log = () => {}, tally, wait } = options;
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
      const demandTaken = () => isOver(tally) || demandEach(edges, old, 'taken');
      if (!(await wait(demandTaken)) || isOver(tally)) return;
      const isDeletion = round % 2 === 1;
      const token = isDeletion ? await deleteProject(owner, wait) : await regenerate(owner, wait);
      if (token === undefined) return;
      const atReturn = await storedNamed(mongo, projectId, old.name);
      old.hasEnded = true;
      tally.ends++;
      ended.set(old, atReturn);
      if (!(await wait(() => demandEach(edges, old, 'since')))) return;
      period = newPeriod(token || old.token);
      const isAnswered = await wait(() => {
        if (old.open > 0) throw new Error(`${old.open} requests have no answer`);
        return true;
      });
      if (!isAnswered) return;
      const later = (await storedNamed(mongo, projectId, old.name)) - atReturn;
      if (later > 0) tally.late.push(`${later} of ${old.name} of ${projectId}`);
      if (isDeletion && !(await undeleteProject(owner, wait))) return;
      const { ends, taken, refused, unavailable, lost } = tally;
      log(
        `${ends} ends, ${taken} events taken, ${refused} refused, ` +
          `${unavailable} with 503, ${lost} without an answer`,
      );
    }
  };
  try {
    await Promise.race([raced(), floods]);
  } finally {
    isStopped = true;
  }
  await floods;
  for (const old of new Set([...ended.keys(), period])) {
    const stored = await storedNamed(mongo, projectId, old.name);
    const atReturn = ended.get(old) ?? stored;
    if (stored > atReturn) tally.late.push(`${stored - atReturn} of ${old.name}, at the end`);
    if (stored < old.taken) tally.missing.push(`${old.taken - stored} of ${old.name}`);
  }
}

function newPeriod(token: string): Period {
  return { token, name: randomUUID(), open: 0, taken: 0, answers: new Map(), hasEnded: false };
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
  const body = JSON.stringify({ api_key: period.token, batch });
  const { status } = await postBody(url, body, answerMs);
  period.open--;
  const answers = answersOf(period, url);
  const kind = kinds[status];
  if (kind === undefined) throw new Error(`${status} of ${url}`);
  answers[kind]++;
  tally[kind] += perBatch;
  if (kind === 'taken') period.taken += perBatch;
  else await pause(againMs);
  if (kind === 'refused' && wasOver) answers.since++;
}

const kinds: Readonly<Record<string | number, Exclude<keyof Answers, 'since'>>> = {
  ...{ 200: 'taken', 401: 'refused', 503: 'unavailable', lost: 'lost' },
};

function answersOf({ answers }: Period, url: string): Answers {
  const none = { taken: 0, unavailable: 0, lost: 0, refused: 0, since: 0 };
  const found = answers.get(url) ?? none;
  answers.set(url, found);
  return found;
}

function demandEach(edges: Raced['edges'], period: Period, what: 'taken' | 'since'): true {
  const answers = edges.map(({ url }) => answersOf(period, url));
  const isTooFew = answers.some((each) => each[what] < batchesEach);
  if (isTooFew) throw new Error(`too few batches are ${what}: ${JSON.stringify(answers)}`);
  return true;
}

/** Answers the new token. */
async function regenerate({ api, projectId }: SignedUp, wait: Wait): Promise<string | undefined> {
  const request = { projectId, expectedFingerprint: '', requestId: randomUUID() };
  const answer = await wait(() => api.projectTokens.regenerateProjectToken(request));
  return answer?.projectToken?.token;
}

/** Answers that there is no new token. */
async function deleteProject({ api, projectId }: SignedUp, wait: Wait): Promise<'' | undefined> {
  const request = { projectId, etag: '', requestId: randomUUID() };
  return (await wait(() => api.projects.deleteProject(request))) && '';
}

async function undeleteProject({ api, projectId }: SignedUp, wait: Wait): Promise<boolean> {
  const request = { projectId, requestId: randomUUID() };
  return (await wait(() => api.projects.undeleteProject(request))) !== undefined;
}
