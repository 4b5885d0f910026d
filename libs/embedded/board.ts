import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Endpoints } from './endpoints.ts';

/** Where to type the commands, and what to end: who reads a log is not at that terminal. */
type Started = { directory: string; pid: number };

/** Elsewhere npx would look for a package of that name, of whomever, in the registry. */
const checkout = join(import.meta.dirname, '..', '..');

/** What is printed when all serve: ports, certificates, and lines to paste. */
export function board(
  endpoints: Endpoints,
  endpointsFile: string,
  { directory, pid }: Started = { directory: checkout, pid: process.pid },
): string {
  const { ca, staff, services, edge } = endpoints;
  const rows = Object.entries(services).map(
    ([name, at]) =>
      `  ${name.padEnd(9)}${at.public.padEnd(18)}${at.internal.padEnd(18)}http://${at.metrics}/metrics`,
  );
  // The command looks for `.silo` by itself.
  const isFound = endpointsFile === join(directory, '.silo', 'endpoints.json');
  const here = isFound ? '--dev' : `--endpoints ${quote(endpointsFile)}`;
  // A new one each time, or pasting it after a second start would be refused as taken.
  const email = `ada-${randomBytes(3).toString('hex')}@example.com`;
  const secured = `grpcurl -cacert ${quote(ca)}`;
  const asStaff = `${secured} -cert ${quote(staff.cert)} -key ${quote(staff.key)}`;
  return [
    '',
    `Silo is ready, region ${endpoints.region}`,
    '',
    '  service  public            internal          metrics',
    ...rows,
    `  HTTP     ${edge}`,
    `  MongoDB  ${hostsOf(endpoints.mongodb)}`,
    `  NATS     ${natsRow(endpoints.nats)}`,
    '',
    `  certificate authority  ${ca}`,
    `  staff certificate      ${staff.cert}`,
    `  staff key              ${staff.key}`,
    `  endpoints              ${endpointsFile}`,
    '',
    `Try, in ${directory}:`,
    `  npx silo signup ${here} --email ${email} --name Ada --organization Example`,
    '  npx silo token        # the token of its project, for what sends events',
    '  npx silo events tail  # the events that arrive, until Ctrl-C',
    `  npx silo doctor ${here}`,
    '  npx silo help',
    '',
    'Or call the API, which documents itself:',
    `  ${secured} ${services.project.public} list`,
    `  ${asStaff} ${services.token.internal} describe silo.token.internal.v1.AccessService`,
    '',
    'Send events, with the project token:',
    `  curl -d '{"api_key":"phc_…","event":"hello","distinct_id":"ada"}' ${edge}/e/`,
    `  new PostHog('phc_…', { host: '${edge}' })  // posthog-node`,
    `  posthog.init('phc_…', { api_host: '${edge}' })  // posthog-js`,
    '',
    `Ctrl-C, or kill ${pid}, stops everything that was started here.`,
  ].join('\n');
}

/** Quotes for a POSIX shell, where it needs quotes. */
function quote(text: string): string {
  return /^[\w./:@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * With the password of the user that only reads events; of others that may be named, the hosts
 * alone.
 */
function natsRow(url: string): string {
  return url.startsWith('nats://subscriber:') ? url : hostsOf(url);
}

/** The hosts of a connection string, without the user and the password that it may hold. */
function hostsOf(url: string): string {
  return url
    .replace(/^\w[\w+]*:\/\//, '')
    .replace(/^[^/]*@/, '')
    .replace(/[/?].*$/, '');
}
