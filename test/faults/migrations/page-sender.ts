import { openSite } from '../../browser/site.ts';
import { obtainChromium, openPage } from '../../harness/chromium.ts';
import { EdgeFront } from '../../harness/edge-front.ts';
import { eventually } from '../../harness/eventually.ts';
import { namesIn, type Sender, sentBy, unanswered } from './sender.ts';

/** posthog-js tries again after pauses of minutes, ten times. */
const withinMs = 300_000;

/**
 * Returns a function that opens a page with posthog-js, which captures one event after the other.
 */
export async function pageSender(): Promise<(token: string, edgeUrl: string) => Promise<Sender>> {
  const chromium = await obtainChromium();
  return async (token, edgeUrl) => {
    await using opened = new AsyncDisposableStack();
    const last = new Map<string, number>();
    const note = (name: string, status: number) => {
      // A later repeat that is refused or lost does not cancel an earlier success.
      if (last.get(name) !== 200) last.set(name, status);
    };
    const onEnded = (body: Buffer, status: number) => {
      for (const name of namesIn(body)) note(name, status);
    };
    const front = opened.use(await EdgeFront.start(edgeUrl, undefined, onEnded));
    const site = opened.use(await openSite());
    const url = site.url({ token, host: front.url, next: '' });
    opened.use(await openPage(chromium, url));
    await eventually(() => {
      if (![...last.values()].includes(200)) throw new Error('the page has sent nothing yet');
    });
    const open = opened.move();
    return {
      get successes() {
        return [...last.values()].filter((status) => status === 200).length;
      },
      stop: async () => {
        await using _ = open;
        await site.captures.end();
        for (let index = 0; index < site.captures.count; index++) {
          const name = `page ${index}`;
          if (!last.has(name)) last.set(name, unanswered);
        }
        const untilSent = eventually(() => {
          const waiting = [...last.values()].filter((status) => status < 200 || status >= 500);
          if (waiting.length > 0) throw new Error(`${waiting.length} events are not sent yet`);
        }, withinMs);
        // Events that it has given up by then count as such.
        await untilSent.catch(() => {});
        return sentBy(last);
      },
    };
  };
}
