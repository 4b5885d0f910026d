/** Checks of every SDK with a Silo. Each check throws if it fails. */
import { deepEqual, equal, notEqual } from 'node:assert/strict';
import { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { newProjectToken } from '@silo/tokens/secrets.ts';
import { holdCommand } from '../faults/fail-points.ts';
import { FailoverSet, primaryPort } from '../faults/failover-set.ts';
import type { FaultSilo } from '../faults/fault-silo.ts';
import { EdgeFront, type Fate } from '../harness/edge-front.ts';
import { eventually } from '../harness/eventually.ts';
import { startSiloProcesses } from '../harness/processes.ts';
import { allEvents, where } from '../scenarios/event-requests.ts';
import { type Language, type Report, run } from './languages.ts';

/** An SDK's installed program, and the Silo that it sends to. */
type Trial = {
  silo: FaultSilo;
  edgeUrl: string;
  language: Language;
  program: Awaited<ReturnType<Language['program']>>;
};

type Check = { what: string; run(trial: Trial): Promise<void> };

const count = 30;
const names = Array.from({ length: count }, (_, index) => `seen ${index}`).sort();

/** All checks, in the order in which they run. */
export const checks: readonly Check[] = [
  { what: 'events, super properties, $host, person, alias and groups arrive once', run: story },
  { what: 'shutdown sends what the SDK then sends, and each event is stored once', run: shutdown },
  { what: 'a dead token: the events are given up, and nothing is stored', run: deadToken },
  { what: '503 twice: sent again, and each event is stored once', run: refusedTwice },
  { what: '503 each time: given up as the SDK does, and nothing is stored', run: refused },
  { what: 'the answer is lost: each event is stored once', run: unanswered },
  { what: 'the connection breaks: sent again where the SDK does, and stored once', run: cut },
  { what: 'MongoDB is killed and comes back: each event is stored once', run: outage },
  { what: 'the primary of three is killed, and another one elected: the same', run: failover },
];

async function story(trial: Trial): Promise<void> {
  const { identified } = trial.language;
  const { api, projectId, projectToken } = await trial.silo.signUp();
  const program = run([...trial.program, trial.edgeUrl, projectToken, 'story']);
  const expected = ['seen', 'seen', 'grouped', identified, '$create_alias', '$groupidentify'];
  if (!trial.language.rules.shutdownSendsAll) {
    await eventually(async () => {
      equal((await allEvents(api, { projectId })).length, expected.length);
    }).catch(() => {}); // the stored events are compared below
  }
  checkLost(trial, await program.end(), 0);
  const events = await allEvents(api, { projectId });
  deepEqual(events.map(({ name }) => name).sort(), expected.sort());
  const filter = where('$host', PropertyOperator.PROPERTY_OPERATOR_EQUAL, '"app.example.com"');
  const [seen, ...rest] = await allEvents(api, { projectId, filter });
  equal(rest.length, 0);
  const { $host, n, plan } = JSON.parse(seen?.properties ?? '{}');
  deepEqual({ $host, n, plan }, { $host: 'app.example.com', n: 1.5, plan: 'free' });
  const propertiesOf = (name: string) =>
    JSON.parse(events.find((each) => each.name === name)?.properties ?? '{}');
  deepEqual(propertiesOf('grouped').$groups, { company: 'c1' });
  deepEqual(propertiesOf(identified).$set, { email: 'ada@example.com' });
  equal(propertiesOf('$create_alias').alias, 'countess');
  const { $group_type, $group_key, $group_set } = propertiesOf('$groupidentify');
  deepEqual([$group_type, $group_key, $group_set], ['company', 'c1', { size: 3 }]);
}

/** Sends `count` events through a front `until` it has returned these statuses, and then these. */
async function send(
  trial: Trial,
  fateOf: (index: number) => Fate,
  { token, until = [] }: { token?: string; until?: readonly number[] } = {},
) {
  const { silo, edgeUrl } = trial;
  const { api, projectId, projectToken } = await silo.signUp();
  await using front = await EdgeFront.start(edgeUrl, fateOf);
  const program = run([...trial.program, front.url, token ?? projectToken, String(count)]);
  try {
    await eventually(() => deepEqual(front.statuses.slice(0, until.length), until), 300_000);
  } finally {
    await program.end().catch(() => {});
  }
  const stored = (await eventually(() => allEvents(api, { projectId }))).map(({ name }) => name);
  return { report: await program.end(), statuses: front.statuses, stored: stored.sort() };
}

async function shutdown(trial: Trial): Promise<void> {
  const { report, stored } = await send(trial, () => 'answered');
  checkLost(trial, report, 0);
  const { shutdownSendsAll } = trial.language.rules;
  deepEqual(stored, shutdownSendsAll ? names : names.filter((name) => stored.includes(name)));
}

async function deadToken(trial: Trial): Promise<void> {
  const until = Array<number>(trial.language.rules.requestsAt401).fill(401);
  const token = newProjectToken();
  const { report, statuses, stored } = await send(trial, () => 'answered', { token, until });
  deepEqual(statuses, until);
  checkLost(trial, report, count);
  deepEqual(stored, []);
}

async function refusedTwice(trial: Trial): Promise<void> {
  const until = [503, 503, 200];
  await arriveOnce(trial, (index) => (index < 2 ? 'refused' : 'answered'), until);
}

async function refused(trial: Trial): Promise<void> {
  const { requestsAt503 } = trial.language.rules;
  const until = Array<number>(requestsAt503 ?? 3).fill(503);
  const { report, statuses, stored } = await send(trial, () => 'refused', { until });
  if (requestsAt503 !== undefined) deepEqual(statuses, until);
  checkLost(trial, report, count);
  deepEqual(stored, []);
}

async function unanswered(trial: Trial): Promise<void> {
  const { sendsAgainAfterBreak } = trial.language.rules;
  const fateOf = (index: number) => (index === 0 ? 'unanswered' : 'answered');
  await arriveOnce(trial, fateOf, sendsAgainAfterBreak ? [0, 200] : [0]);
}

async function cut(trial: Trial): Promise<void> {
  const { sendsAgainAfterBreak } = trial.language.rules;
  const fateOf = (index: number) => (index === 0 ? 'cut' : 'answered');
  if (sendsAgainAfterBreak) return await arriveOnce(trial, fateOf, [0, 200]);
  const { report, stored } = await send(trial, fateOf, { until: [0] });
  checkLost(trial, report, count);
  deepEqual(stored, []);
}

async function arriveOnce(
  trial: Trial,
  fateOf: (index: number) => Fate,
  until: readonly number[],
): Promise<void> {
  const { report, statuses, stored } = await send(trial, fateOf, { until });
  deepEqual(statuses, until);
  checkLost(trial, report, 0);
  deepEqual(stored, names);
}

async function outage(trial: Trial): Promise<void> {
  const { mongod } = trial.silo;
  const { api, projectId, projectToken } = await trial.silo.signUp();
  await using front = await EdgeFront.start(trial.edgeUrl, () => 'answered');
  await mongod.kill();
  const program = run([...trial.program, front.url, projectToken, String(count)]);
  try {
    await eventually(() => equal(front.received, 1));
    await mongod.start();
    await eventually(() => equal(front.statuses.at(-1), 200));
  } finally {
    await mongod.start();
    checkLost(trial, await program.end(), 0);
  }
  const stored = await eventually(() => allEvents(api, { projectId }));
  deepEqual(stored.map(({ name }) => name).sort(), names);
}

/**
 * Kills the primary during the commit of the SDK's batch. An SDK that gives up before another one
 * is elected, after its usual number of requests, reports all events as lost.
 */
async function failover({ language, program: command }: Trial): Promise<void> {
  await using silo = await startSiloProcesses({
    edges: 0,
    startMongodb: (directory) => FailoverSet.start(directory),
  });
  const { api, projectId, projectToken } = await silo.signUp();
  await using front = await EdgeFront.start(silo.edges[0]?.url ?? '');
  const { entered } = await holdCommand(silo.mongo, {
    ...{ service: 'project', command: 'commitTransaction', collection: 'captured_events' },
    outcome: 'done',
  });
  const program = run([...command, front.url, projectToken, String(count)]);
  const { requestsAt503 } = language.rules;
  const hasGivenUp = () => requestsAt503 !== undefined && front.statuses.length >= requestsAt503;
  try {
    await entered();
    const killed = await silo.mongod.killPrimary(silo.mongo);
    notEqual(await eventually(() => primaryPort(silo.mongo)), killed);
    await eventually(() => hasGivenUp() || equal(front.statuses.at(-1), 200), 300_000);
  } finally {
    await program.end().catch(() => {});
  }
  const isSent = front.statuses.includes(200);
  if (!isSent) deepEqual(front.statuses, Array<number>(requestsAt503 ?? 0).fill(503));
  checkLost({ language }, await program.end(), isSent ? 0 : count);
  const events = await eventually(() => allEvents(api, { projectId }));
  const stored = events.map(({ name }) => name).sort();
  // Refused events may be stored nevertheless.
  deepEqual(stored, isSent ? names : names.filter((name) => stored.includes(name)));
}

function checkLost(
  { language }: Pick<Trial, 'language'>,
  { lost }: Report,
  expected: number,
): void {
  equal(lost, language.rules.reportsLosses ? expected : null, 'events reported as lost');
}
