import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** The command that starts a guard: a program and its arguments. */
export type Command = readonly [string, ...string[]];

/** The requests to a guard, one JSON object per line. */
export type Question =
  | { verify_token: string }
  | { authorize: { key: string; scope: string; project_id: string } };

/** The decision in its answer. */
export type Decision = 'allowed' | 'refused' | 'unavailable';

const answerWithinMs = 120_000;

/** A guard in a separate process, which answers lines. Disposing ends it with SIGTERM. */
export class GuardUnderTest implements AsyncDisposable {
  readonly #child;
  readonly #lines;
  #lastId = 0;

  constructor([program, ...args]: Command, environment: Record<string, string>) {
    this.#child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...environment },
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async check(question: Question): Promise<Decision> {
    const id = ++this.#lastId;
    this.#child.stdin.write(`${JSON.stringify({ id, ...question })}\n`);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), answerWithinMs);
    try {
      const { value } = await this.#lines.next();
      if (value === undefined) throw new Error('the guard ended, or did not answer in time');
      const answer = JSON.parse(value);
      if (answer.id !== id) throw new Error(`answer ${answer.id} to question ${id}`);
      return answer.decision;
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), answerWithinMs);
    await exited;
    clearTimeout(timer);
  }
}
