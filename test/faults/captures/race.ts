import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { SignedUp } from '../../harness/clients.ts';
import { eventually } from '../../harness/eventually.ts';
import { delayCommits, releaseAll } from '../fail-points.ts';
import type { FaultSilo } from '../fault-silo.ts';
import { postBody, storedNamed } from './batches.ts';

/** A deployment with edges and any MongoDB. */
export type Raced = Pick<FaultSilo, 'edges' | 'mongo' | 'signUp'>;

/** The result of a race, in events. */
export type Tally = {
  taken: number;
  refused: number;
  /** Answered with 503. */
  unavailable: number;
  /**
   * Lost their connection, so they may be stored or not. A running edge answers, so there must be
   * none.
   */
  lost: number;
  /** The number of times that RegenerateProjectToken or DeleteProject has returned. */
  ends: number;
  /** Events that were stored after those had returned. */
  late: string[];
  /** Events that were answered with 200 and are not stored. */
  missing: string[];
  /** Conditions that were not met when the time was over. */
  unfinished: string[];
};

type RaceOptions = {
  projects: number;
  /** Number of senders for a project at each edge. */
  senders: number;
  perBatch: number;
  /** How long MongoDB takes for each commit of project; default 400 ms. */
  commitMs?: number;
  isOver(tally: Tally): boolean;
  /**
   * The race ends after this time with what it has; default 15 minutes. A slow machine needs
   * longer.
   */
  withinMs?: number;
  log?(line: string): void;
};

/** The answers of an edge to the batches of a period. */
type Answers = { taken: number; unavailable: number; lost: number; refused: number; since: number };

/**
 * A period from the creation of a token, or of a project, to its end; its events have this name.
 */
type Period = {
  token: string;
  name: string;
  /** Requests without an answer. */
  open: number;
  taken: number;
  /**
   * Answers by the edge's URL. `since` counts refused batches that were sent after the end had
   * returned.
   */
  answers: Map<string, Answers>;
  hasEnded: boolean;
};

/** Number of batches that an edge must accept before the end, and refuse after it. */
const batchesEach = 3;
/**
 * With this delay and their waits for each other, captures take longer than a guard needs to
 * acknowledge the end of a token with its renewals; so some are in progress whenever a token ends.
 */
const commitDefaultMs = 400;

/** An edge holds a request for 8 s, and other work of the machine may slow it down. */
const answerMs = 10 * 60_000;
const withinDefaultMs = 15 * 60_000;
/** A wait is logged each time it has lasted this long. */
const longWaitMs = 60_000;
/** A refused batch is sent again after this pause, which leaves CPU time to others. */
const againMs = 20;

/**
 * Sends events of projects through every edge without a pause. Each project's token is regenerated,
 * or the project is deleted and undeleted, again and again. Every edge receives the old token
 * before, during and after that, while commits of MongoDB are slow. Counts events that are stored
 * after the RPC has returned. However slow the machine is, the race ends with a tally of what was
 * sent.
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

/**
 * Returns the result of `look` once it does not throw, or undefined when the race's time is over.
 */
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

/** Returns the new token. */
async function regenerate({ api, projectId }: SignedUp, wait: Wait): Promise<string | undefined> {
  const request = { projectId, expectedFingerprint: '', requestId: randomUUID() };
  const answer = await wait(() => api.projectTokens.regenerateProjectToken(request));
  return answer?.projectToken?.token;
}

/** Returns undefined, because there is no new token. */
async function deleteProject({ api, projectId }: SignedUp, wait: Wait): Promise<'' | undefined> {
  const request = { projectId, etag: '', requestId: randomUUID() };
  return (await wait(() => api.projects.deleteProject(request))) && '';
}

async function undeleteProject({ api, projectId }: SignedUp, wait: Wait): Promise<boolean> {
  const request = { projectId, requestId: randomUUID() };
  return (await wait(() => api.projects.undeleteProject(request))) !== undefined;
}
