import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const captureEveryMs = 100;
const html = '<!doctype html><meta charset="utf-8"><title>Site</title>';
const files: Readonly<Record<string, { type: string; body: string }>> = {
  '/': { type: 'text/html', body: `${html}<script type="module" src="/page.js"></script>` },
  '/left': { type: 'text/html', body: html },
  '/page.js': script(new URL('page.js', import.meta.url)),
  '/posthog.js': script(new URL('module.js', import.meta.resolve('posthog-js'))),
};

function script(url: URL) {
  return { type: 'text/javascript', body: readFileSync(fileURLToPath(url), 'utf8') };
}

/** A report of a page: that the SDK has loaded, or an error. */
type PageReport = { what: 'loaded' | 'error'; text: string };

/** A web site with pages that use posthog-js. */
export type Site = AsyncDisposable & {
  /** `127.0.0.1:port`, which is `$host` of its events. */
  host: string;
  /** The page with this query. */
  url(query: Record<string, string>): string;
  reports: readonly PageReport[];
  /** Lets waiting pages leave. */
  leave(): void;
  /** The captures of a page with `next`, which captures one event after another. */
  captures: {
    /** Number of captured events, which are named `page 0` and so on. */
    readonly count: number;
    /** Resolves when it has captured its last one. */
    end(): Promise<void>;
  };
};

/** Serves the site on its own port. */
export async function openSite(): Promise<Site> {
  const reports: PageReport[] = [];
  const waiting: ServerResponse[] = [];
  let count = 0;
  let isOver = false;
  const ended = Promise.withResolvers<void>();
  const next = async (): Promise<string> => {
    await pause(captureEveryMs);
    if (isOver) ended.resolve();
    else count++;
    return isOver ? 'over' : 'more';
  };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://site');
    if (pathname === '/leave') return void waiting.push(response);
    if (pathname === '/next') return void response.end(await next());
    if (pathname === '/report') reports.push(JSON.parse(await text(request)));
    const file = files[pathname];
    response.writeHead(file ? 200 : 204, { 'content-type': file?.type ?? 'text/plain' });
    response.end(file?.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    url: (query) => `http://${host}/?${new URLSearchParams(query)}`,
    reports,
    leave: () => {
      for (const response of waiting.splice(0)) response.end();
    },
    captures: {
      get count() {
        return count;
      },
      end: async () => {
        isOver = true;
        await ended.promise;
      },
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
