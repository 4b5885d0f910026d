import { type Forked, startForked } from '../harness/forked.ts';
import type { CaptureReport, CaptureSenderOptions } from './capture-sender.ts';

export type Captures = Exclude<CaptureReport, { failure: string }>;

/** A process that sends captures at a steady rate, however long the answers take. */
export class CaptureLoad implements AsyncDisposable {
  readonly #sender: Forked<CaptureReport>;

  private constructor(sender: Forked<CaptureReport>) {
    this.#sender = sender;
  }

  static async start(options: CaptureSenderOptions): Promise<CaptureLoad> {
    const file = new URL('./capture-sender.ts', import.meta.url);
    return new CaptureLoad(await startForked<CaptureReport>(file, options));
  }

  /**
   * Sends while `work` runs, and returns both results. Rejects at the first capture that is not
   * stored, with the text of `status`, and aborts the work.
   */
  async during<T>(
    work: (signal: AbortSignal) => Promise<T>,
    status: () => Promise<string>,
  ): Promise<{ done: T } & Captures> {
    using stopping = new DisposableStack();
    const over = new AbortController();
    stopping.defer(() => over.abort());
    const reported = this.#sender.request('begin').then(async (report) => {
      if ('failure' in report) throw new Error(`${report.failure} (${await status()})`);
      return report;
    });
    const failed = reported.then(() => new Promise<never>(() => {}));
    failed.catch(() => {}); // `reported` is awaited, too
    const done = await Promise.race([work(over.signal), failed]);
    // Its answer is the one that is awaited already.
    this.#sender.request('end').catch(() => {});
    return { done, ...(await reported) };
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#sender[Symbol.asyncDispose]();
  }
}
