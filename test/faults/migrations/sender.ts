import { gunzipSync } from 'node:zlib';
import { PostHog } from 'posthog-node';

/** The fate of an SDK's events, as far as the SDK knows. */
export type Sent = {
  names: string[];
  /** The last answer was a success: they must be stored once. */
  acknowledged: string[];
  /**
   * The last answer was a refusal, after which the SDK drops them: no live project may cause that.
   */
  refused: string[];
  /** Given up by the SDK's own rule, with the last answer: they may be stored or not. */
  givenUp: string[];
};

/** An SDK that sends one event after the other. */
export type Sender = {
  /** Number of events that were answered with success. */
  readonly successes: number;
  /** Stops it, and waits until it has sent its queue. */
  stop(): Promise<Sent>;
};

/** Retries for as long as a run lasts, so that queued events are not given up. */
const retriesMax = 100_000;
const retryMs = 100;
const stopWithinMs = 60_000;
/** Used in place of a status if there was no answer. */
export const unanswered = 0;

/**
 * posthog-node, unmodified, which sends events with the names `<prefix> 0`, `<prefix> 1` and so on,
 * each with a flush.
 */
export function keepSending(token: string, host: string, prefix: string): Sender {
  const last = new Map<string, number>();
  let successes = 0;
  let isAbandoned = false;
  const sdk = new PostHog(token, {
    host,
    fetchRetryDelay: retryMs,
    fetchRetryCount: retriesMax,
    fetch: async (url, options) => {
      // After a failed run the SDK drops its queue, instead of retrying for ever.
      if (isAbandoned) return new Response(null, { status: 410 });
      const names = namesIn(options.body);
      for (const name of names) last.set(name, unanswered);
      const answer = await fetch(url, options as RequestInit);
      for (const name of names) last.set(name, answer.status);
      if (answer.ok) successes += names.length;
      return answer;
    },
  });
  // Events that could not be sent are in `last`.
  sdk.on('error', () => {});
  let isOver = false;
  const sending = (async () => {
    for (let index = 0; !isOver; index++) {
      const event = `${prefix} ${index}`;
      last.set(event, unanswered);
      sdk.capture({ distinctId: 'ada', event });
      await sdk.flush().catch(() => {});
    }
  })();
  return {
    get successes() {
      return successes;
    },
    stop: async () => {
      isOver = true;
      const patience = setTimeout(() => {
        isAbandoned = true;
      }, stopWithinMs);
      await sending;
      await sdk.shutdown();
      clearTimeout(patience);
      return sentBy(last);
    },
  };
}

/** By the last status of each event: SDKs drop events at 4xx, and retry after anything else. */
export function sentBy(last: ReadonlyMap<string, number>): Sent {
  const sent: Sent = { names: [...last.keys()], acknowledged: [], refused: [], givenUp: [] };
  for (const [name, status] of last) {
    if (status === 200) sent.acknowledged.push(name);
    else if (status >= 400 && status < 500) sent.refused.push(`${name} (${status})`);
    else sent.givenUp.push(`${name} (${status || 'no answer'})`);
  }
  return sent;
}

/** The names of the events in a body, compressed or not: one event, several, or a batch. */
export function namesIn(body: unknown): string[] {
  const bytes = Buffer.from(body as string | Uint8Array);
  const isCompressed = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const parsed = JSON.parse((isCompressed ? gunzipSync(bytes) : bytes).toString());
  const events: { event: string }[] = [parsed.batch ?? parsed].flat();
  return events.map(({ event }) => event);
}
