/**
 * A process that embeds a guard, like another product. It checks every access on its list
 * repeatedly, and records each verification before it continues.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { protectionNames, protectionsWithout } from '@silo/guard/core/protections.ts';
import { createGuard, type Guard } from '@silo/guard/create-guard.ts';
import { createLogger } from '@silo/runtime/log.ts';
import { machineMs } from '../../harness/machine-clock.ts';
import { type FromGuard, receive, send, type ToGuard } from './control-wire.ts';
import { HistoryBuffer, type Verdict } from './history.ts';
import { isAccepted, type Question } from './question.ts';

/** Pause between two passes over all questions. */
const paceMs = 50;
/** Number of checks that wait for the owners at the same time. */
const waitingMax = 4;
/** Time for an owner to answer; `patienceMs` adds to it. */
const deadlineMs = 2_000;
const patienceMs = 1_000;
/**
 * A denial costs the owners reads, so denied access is checked again after this time, and then less
 * and less often. Access that memory accepts is checked in every pass.
 */
const refusedAgainMs = 3_000;
const refusedAgainFactor = 10;

type OpenQuestion = {
  question: Question;
  dueMs: number;
  refusedAgainMs: number;
  isWaiting: boolean;
  /** Since the last report. */
  wasAccepted: boolean;
};
/** Each of these questions must be checked from then on. */
type Demand = { number: number; fromMs: number; pending: Set<number>; fromMemory: number[] };

const environment = (variable: string): string => process.env[variable] ?? '';
const name = environment('GUARD_NAME');
const questions = new Map<number, OpenQuestion>();
const demands = new Set<Demand>();
let waiting = 0;
let patient = { signal: AbortSignal.abort(), untilMs: 0 };
const buffer = new HistoryBuffer();
let history = openSync(environment('GUARD_HISTORY'), 'a');
let nextPage: string | undefined;
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());

await using guard = embedGuard();
const control = connect(environment('GUARD_CONTROL'));
void receive<ToGuard>(control, handle).finally(() => stop.abort());
flushCompileCache(); // written for processes that start after this one; otherwise it is written at the end of the process
sendReply({ kind: 'hello', name });
while (!stop.signal.aborted) {
  pass();
  await pause(paceMs);
}
control.destroy();
closeSync(history);

function embedGuard(): Guard {
  const off = protectionNames.find((each) => each === environment('GUARD_WITHOUT'));
  return createGuard(
    {
      name,
      addresses: {
        org: environment('ORG_INTERNAL_ADDRESS'),
        project: environment('PROJECT_INTERNAL_ADDRESS'),
        token: environment('TOKEN_INTERNAL_ADDRESS'),
      },
      tls: {
        ca: environment('TLS_CA'),
        cert: environment('TLS_CERT'),
        key: environment('TLS_KEY'),
      },
      nats: { url: environment('NATS_URL') },
      log: createLogger({ service: name, region: 'us', level: 'warn' }),
    },
    protectionsWithout(off),
  );
}

function handle(message: ToGuard): void {
  switch (message.kind) {
    case 'check':
      for (const question of message.questions) {
        const open = questions.get(question.id) ?? { question, isWaiting: false };
        const fresh = { dueMs: 0, refusedAgainMs, wasAccepted: false };
        questions.set(question.id, Object.assign(open, fresh));
      }
      break;
    case 'recheck': {
      const open = questions.get(message.id);
      if (open !== undefined) open.dueMs = 0;
      break;
    }
    case 'retire':
      for (const id of message.ids) {
        questions.delete(id);
        for (const { pending } of demands) pending.delete(id);
      }
      break;
    case 'turnPage':
      nextPage = message.file;
      break;
    case 'report': {
      const pending = new Set(questions.keys());
      for (const open of questions.values()) open.dueMs = 0;
      demands.add({ number: message.number, fromMs: machineMs(), pending, fromMemory: [] });
      break;
    }
  }
}

function sendReply(message: FromGuard): void {
  send(control, message);
}

/**
 * Checks everything that is due, in one turn; checks that memory cannot answer are awaited
 * separately.
 */
function pass(): void {
  if (nextPage !== undefined) turnPage(nextPage);
  const signal = patience();
  for (const open of [...questions.values()]) {
    if (waiting >= waitingMax || nextPage !== undefined) break;
    const startMs = machineMs();
    if (open.isWaiting || open.dueMs > startMs) continue;
    const answer = isAccepted(guard, open.question, signal);
    if (typeof answer === 'boolean') note(open, startMs, answer ? 'accepted' : 'refused', true);
    else void awaitAnswer(open, startMs, answer);
  }
  keep();
  for (const demand of demands) {
    if (demand.pending.size > 0 || nextPage !== undefined) continue;
    demands.delete(demand);
    sendReply({ kind: 'report', number: demand.number, fromMemory: demand.fromMemory });
  }
}

/**
 * One signal for all passes of a second: separate ones would end twenty times a second, mostly
 * unused.
 */
function patience(): AbortSignal {
  const nowMs = machineMs();
  if (nowMs > patient.untilMs) {
    patient = {
      signal: AbortSignal.timeout(deadlineMs + patienceMs),
      untilMs: nowMs + patienceMs,
    };
  }
  return patient.signal;
}

async function awaitAnswer(
  open: OpenQuestion,
  startMs: number,
  answer: Promise<boolean>,
): Promise<void> {
  waiting++;
  open.isWaiting = true;
  // Moved to the end of the list, so that all questions get their turn.
  if (questions.delete(open.question.id)) questions.set(open.question.id, open);
  const verdict = await answer.then(
    (isGood) => (isGood ? 'accepted' : 'refused'),
    () => 'unavailable' as const,
  );
  waiting--;
  open.isWaiting = false;
  note(open, startMs, verdict, false);
  keep();
}

function note(open: OpenQuestion, startMs: number, verdict: Verdict, isFromMemory: boolean): void {
  const { id } = open.question;
  const endMs = machineMs();
  buffer.add(id, startMs, endMs, verdict, isFromMemory);
  for (const { fromMs, pending, fromMemory } of demands) {
    if (startMs < fromMs || !pending.delete(id)) continue;
    if (isFromMemory && verdict === 'accepted') fromMemory.push(id);
  }
  const isDemanded = [...demands].some(({ pending }) => pending.has(id));
  if (verdict === 'accepted') {
    open.refusedAgainMs = refusedAgainMs;
    if (!open.wasAccepted) sendReply({ kind: 'accepted', id });
    open.wasAccepted = true;
  } else if (!isFromMemory && !isDemanded) {
    open.dueMs = endMs + open.refusedAgainMs;
    open.refusedAgainMs *= refusedAgainFactor;
  }
}

/** Done when no check is pending, so that all earlier checks are in the earlier file. */
function turnPage(file: string): void {
  if (waiting > 0) return;
  closeSync(history);
  history = openSync(file, 'a');
  nextPage = undefined;
}

/**
 * Done before anything else may happen, so that a killed process has reported all but its last
 * turn.
 */
function keep(): void {
  writeSync(history, buffer.take());
}
