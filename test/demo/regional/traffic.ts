import { setTimeout as pause } from 'node:timers/promises';
import { PostHog } from 'posthog-node';

const everyMs = 10;
const shutdownMs = 1_000;

/** An app that keeps sending events with posthog-node, and counts their outcomes. */
export class Traffic implements AsyncDisposable {
  readonly #sdk: PostHog;
  readonly #names: string[] = [];
  readonly #errors: unknown[] = [];
  #sending: Promise<void> | undefined;
  #isOver = false;

  /** `edge` is the URL that the app was shipped with. */
  constructor(token: string, edge: string) {
    this.#sdk = new PostHog(token, { host: edge, flushAt: 10, flushInterval: 200 });
    this.#sdk.on('error', (error: unknown) => this.#errors.push(error));
  }

  /** The names of all events so far; each name is unique. */
  get names(): readonly string[] {
    return this.#names;
  }

  get errors(): readonly unknown[] {
    return this.#errors;
  }

  /** Sends this number at once, and returns when all are acknowledged. */
  async send(count: number): Promise<void> {
    for (let sent = 0; sent < count; sent++) this.#capture();
    await this.#sdk.flush();
  }

  /** Sends an event every 10 ms from now on. */
  begin(): void {
    this.#isOver = false;
    this.#sending = (async () => {
      while (!this.#isOver) {
        this.#capture();
        await pause(everyMs);
      }
    })();
  }

  /** Stops, and returns when all captured events are sent. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#sending;
    await this.#sdk.flush();
  }

  /** Ends the SDK, even if events are not sent yet. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#sending;
    await this.#sdk.shutdown(shutdownMs);
  }

  #capture(): void {
    const event = `visit ${this.#names.length + 1}`;
    this.#names.push(event);
    this.#sdk.capture({ distinctId: `visitor ${this.#names.length % 100}`, event });
  }
}
