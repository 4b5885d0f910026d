import { randomUUID } from 'node:crypto';
import { eventually } from '../../harness/eventually.ts';
import { postBody } from './batches.ts';

export type FloodOptions = {
  urls: readonly string[];
  token: string;
  sendersEach: number;
  perBatch: number;
};

/** The same for each event. Because they contain an address, the edge adds none. */
const properties = { $ip: '' };
/** The stored form of these properties. */
export const propertiesStored = JSON.stringify(properties);

/**
 * Senders that each send one body after another to their edge, as an SDK does, and repeat a body
 * until it is answered with 200. The other allowed outcomes are 503 with Retry-After and a lost
 * connection; anything else is recorded as dishonest.
 */
export class Flood {
  /** The UUIDs of events that were answered with 200, without hyphens. */
  readonly acknowledged: string[] = [];
  /** Numbers of requests that got 503, and that lost their connection. */
  readonly refused = { unavailable: 0, lost: 0 };
  /** Answers that neither confirm the events nor say how to continue. */
  readonly dishonest: string[] = [];
  readonly #senders: Promise<unknown>;
  #isOver = false;

  constructor({ urls, token, sendersEach, perBatch }: FloodOptions) {
    const senders = urls.flatMap((url) =>
      Array.from({ length: sendersEach }, async () => {
        while (!this.#isOver) await this.#sendOne(url, token, perBatch);
      }),
    );
    this.#senders = Promise.all(senders);
    // `taken` and `end` reject with it.
    this.#senders.catch(() => {});
  }

  /** Returns when this number of further events were answered with 200. */
  async taken(more: number): Promise<void> {
    const before = this.acknowledged.length;
    const waiting = eventually(() => {
      const count = this.acknowledged.length - before;
      if (count < more && !this.#isOver) throw new Error(`${count} of ${more} events are taken`);
    });
    await Promise.race([waiting, this.#senders]);
  }

  /** Begins no further body, and returns when every begun one is answered with 200. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#senders;
  }

  async #sendOne(url: string, api_key: string, perBatch: number): Promise<void> {
    const batch = Array.from({ length: perBatch }, () => ({
      ...{ event: 'seen', distinct_id: 'ada', uuid: randomUUID() },
      properties,
    }));
    const body = JSON.stringify({ api_key, batch });
    await eventually(async () => {
      const answer = await postBody(url, body);
      if (answer.status === 200) return;
      if (answer.status === 'lost') this.refused.lost++;
      else if (answer.status === 503 && Number(answer.retryAfter) > 0) this.refused.unavailable++;
      else this.dishonest.push(JSON.stringify(answer));
      throw new Error(JSON.stringify(answer));
    });
    this.acknowledged.push(...batch.map(({ uuid }) => uuid.replaceAll('-', '')));
  }
}
