import { status } from '@grpc/grpc-js';
import { reasonName } from '@silo/errors/reason-name.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import type { Broadcast, Expected, ReceivedEvent } from './broadcast.ts';

/** What a step may print while it runs. */
type Step = {
  /** One fact, indented below the step's title. */
  say(line: string): void;
  /** The parts of a refusal: code, reason, message, and details. */
  refusal(refusal: SiloError): void;
  /** Waits until these events have come over NATS. */
  events(...expected: Expected[]): Promise<void>;
};

/** Prints the demo, step by step. */
export type Narrator = {
  line(text?: string): void;
  chapter(title: string): void;
  /** Runs a step and prints what it did, with its events on NATS; throws StepFailed. */
  step<T>(title: string, run: (step: Step) => Promise<T>): Promise<T>;
  /** From now on this name is printed in place of the id, and events with this actor are shown. */
  name(id: string, name: string): void;
  /** Number of completed steps. */
  stepCount(): number;
};

/** A step that did not do what its title says. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed';
  /** The step's title. */
  readonly step: string;

  constructor(step: string, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.step = step;
  }
}

export type NarratorOptions = {
  write: (text: string) => void;
  colour: boolean;
  /** If absent, no events are awaited or shown. */
  broadcast?: Broadcast;
  signal: AbortSignal;
  /** Rejects when the Silo stops during the demo: the current step has then failed. */
  failure: Promise<never>;
};

// Fields of every event that are left out; the subject and the story contain them.
const unsaid = new Set(['revision', 'time', 'actor']);
const idPattern = /\b[a-z]{3}_(?:[a-z]{2}_)?[0-9a-z]{26}\b/g;

/** A narrator that writes lines. */
export function createNarrator(options: NarratorOptions): Narrator {
  const { write, colour, broadcast, signal, failure } = options;
  const paint = paintWith(colour);
  const names = new Map<string, string>();
  let chapterCount = 0;
  let stepCount = 0;
  const named = (text: string) => text.replace(idPattern, (id) => names.get(id) ?? id);
  const line = (text = '') => write(`${named(text)}\n`);
  const showEvent = ({ subject, about, body }: ReceivedEvent) => {
    const name = names.get(about);
    const concerns = name === undefined ? '' : ` (${name})`;
    const shown = name === undefined ? subject : subject.replace(about, '…');
    line(`      ${paint.blue('NATS')} ${shown}${concerns}`);
    const fields = Object.entries(body).filter(
      ([field, value]) => !unsaid.has(field) && value !== about,
    );
    const said = fields.map(([field, value]) => `${field}: ${textOf(value)}`);
    if (said.length > 0) line(paint.dim(`           ${said.join(', ')}`));
  };
  const step: Step = {
    say: (text) => line(`      ${text}`),
    refusal: (refusal) => {
      line(
        `      ${paint.yellow('refused')} ${status[refusal.code]} ${reasonName(refusal.reason)}`,
      );
      line(`           “${refusal.message}”`);
      for (const detail of detailsOf(refusal)) line(paint.dim(`           ${detail}`));
    },
    events: async (...expected) => await broadcast?.awaitEvents(expected),
  };
  return {
    line,
    chapter: (title) => {
      chapterCount++;
      line();
      line(paint.bold(`${chapterCount}. ${title}`));
    },
    step: async (title, run) => {
      signal.throwIfAborted();
      line();
      line(`   ${title}`);
      try {
        const result = await Promise.race([run(step), failure]);
        const isOurs = ({ body }: ReceivedEvent) => names.has(textOf(body.actor));
        for (const event of broadcast?.takeNew(isOurs) ?? []) showEvent(event);
        line(`      ${paint.green('✓')}`);
        stepCount++;
        return result;
      } catch (error) {
        signal.throwIfAborted();
        // The whole reason is printed once, at the end.
        const [reason] = String(error instanceof Error ? error.message : error).split('\n');
        line(`      ${paint.red('✗')} ${reason}`);
        throw new StepFailed(title, error);
      }
    },
    name: (id, name) => names.set(id, name),
    stepCount: () => stepCount,
  };
}

/** The details of a refusal, a line each. */
function detailsOf({ metadata, details }: SiloError): string[] {
  const { preconditionFailure = [], quotaFailure = [], resourceInfo } = details;
  const lines = Object.entries(metadata).map(([key, value]) => `${key}: ${value}`);
  for (const { type, subject, description } of preconditionFailure) {
    const about = [type, subject].filter(Boolean).join(' ');
    lines.push(`PreconditionFailure ${about}: ${description}`);
  }
  for (const { subject, description } of quotaFailure) {
    lines.push(`QuotaFailure ${subject}: ${description}`);
  }
  if (resourceInfo) {
    const { resourceType, resourceName } = resourceInfo;
    lines.push(`ResourceInfo ${resourceType} ${resourceName}`);
  }
  return lines;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function paintWith(colour: boolean) {
  const sgr = (open: number, close: number) => (text: string) =>
    colour ? `\u001b[${open}m${text}\u001b[${close}m` : text;
  return {
    bold: sgr(1, 22),
    dim: sgr(2, 22),
    red: sgr(31, 39),
    green: sgr(32, 39),
    yellow: sgr(33, 39),
    blue: sgr(34, 39),
  };
}
