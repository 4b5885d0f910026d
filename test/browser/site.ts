import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

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

/** What a page reports: that the SDK has loaded, or an error. */
type PageReport = { what: 'loaded' | 'error'; text: string };

/** A web site whose pages use posthog-js. */
export type Site = AsyncDisposable & {
  /** `127.0.0.1:port`, which is `$host` of its events. */
  host: string;
  /** The page with this query. */
  url(query: Record<string, string>): string;
  reports: readonly PageReport[];
  /** Lets the pages leave that wait for it. */
  leave(): void;
};

/** Serves it on a port of its own. */
export async function openSite(): Promise<Site> {
  const reports: PageReport[] = [];
  const waiting: ServerResponse[] = [];
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://site');
    if (pathname === '/leave') return void waiting.push(response);
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
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
