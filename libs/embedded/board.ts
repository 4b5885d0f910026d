import { randomBytes, randomUUID } from 'node:crypto';
import type { Endpoints } from './endpoints.ts';

/** What is printed when all serve: ports, certificates, and three lines to paste. */
export function board(endpoints: Endpoints, endpointsFile: string): string {
  const { ca, staff, services, edge } = endpoints;
  const rows = Object.entries(services).map(
    ([name, at]) =>
      `  ${name.padEnd(9)}${at.public.padEnd(18)}${at.internal.padEnd(18)}http://${at.metrics}/metrics`,
  );
  const account = JSON.stringify({
    // A new one each time, or pasting it after a second start would be refused as taken.
    email: `ada-${randomBytes(3).toString('hex')}@example.com`,
    display_name: 'Ada',
    organization_name: 'Example',
    request_id: randomUUID(),
  });
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
    'Try:',
    `  ${secured} -d ${quote(account)} ${services.org.public} silo.org.v1.AccountService/CreateAccount`,
    `  ${secured} ${services.project.public} list`,
    `  ${asStaff} ${services.token.internal} describe silo.token.internal.v1.AccessService`,
    '',
    'Send events, with the project token that CreateAccount returns:',
    `  curl -d '{"api_key":"phc_…","event":"hello","distinct_id":"ada"}' ${edge}/e/`,
    `  new PostHog('phc_…', { host: '${edge}' })  // posthog-node`,
    `  posthog.init('phc_…', { api_host: '${edge}' })  // posthog-js`,
    '',
    'Ctrl-C stops everything that was started here.',
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
