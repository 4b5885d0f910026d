import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Endpoints } from './endpoints.ts';

/**
 * The directory in which to type the commands, and the process to end: a person who reads a log may
 * be at another terminal.
 */
type Started = { directory: string; pid: number };

/** In another directory, npx would look for a package of that name in the registry. */
const checkout = join(import.meta.dirname, '..', '..');

/** The text that is printed when all services serve: ports, certificates, and commands to paste. */
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
  // The command finds `.silo` itself.
  const isFound = endpointsFile === join(directory, '.silo', 'endpoints.json');
  const here = isFound ? '--dev' : `--endpoints ${quote(endpointsFile)}`;
  // Different at each start: the second sign-up with the same e-mail would be refused.
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
    '  npx silo token        # the token of its project, with which apps send events',
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

/** Quotes a text for a POSIX shell if it needs quotes. */
function quote(text: string): string {
  return /^[\w./:@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * The NATS URL with the password of the user that only reads events; for any other user, only the
 * hosts.
 */
function natsRow(url: string): string {
  return url.startsWith('nats://subscriber:') ? url : hostsOf(url);
}

/** The hosts of a connection string, without a user and password. */
function hostsOf(url: string): string {
  return url
    .replace(/^\w[\w+]*:\/\//, '')
    .replace(/^[^/]*@/, '')
    .replace(/[/?].*$/, '');
}
