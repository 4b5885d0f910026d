/**
 * A subscriber with a cache of access: writes a line for each thing that the cache must forget
 * (docs/events.md). `NATS_URL=nats://subscriber:…@host:4222 node subscriber.ts STATE_FILE`
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { AckPolicy, connect, DeliverPolicy, type JsMsg } from 'nats';

type Body = Record<string, string>;
type Event = {
  id: string;
  service: string;
  name: string;
  incarnation: string;
  sequence: number;
  body: Body;
};

/**
 * The state of a subscriber in addition to its cache: its position in each log, and recent events.
 */
type State = {
  positions: Record<string, { incarnation: string; sequence: number }>;
  recentIds: string[];
};

const recentIdsMax = 1_000;
const connectMs = 10_000;

const member = ({ accountId, organizationId }: Body) => [`member ${accountId} ${organizationId}`];
const organization = ({ organizationId }: Body) => [`organization ${organizationId}`];
const project = ({ projectId }: Body) => [`project ${projectId}`];
const token = ({ fingerprint, newFingerprint }: Body) =>
  [fingerprint, newFingerprint].filter(Boolean).map((each) => `token ${each}`);
const key = ({ keyId }: Body) => [`key ${keyId}`];
const nothing = () => [];

/**
 * The facts that each event ends, by service and name. An event that is missing here ends
 * everything of its service.
 */
const ends: Record<string, (body: Body) => string[]> = {
  'org.member_added': member,
  'org.member_updated': member,
  'org.member_removed': member,
  'org.organization_created': organization,
  'org.organization_updated': organization,
  'org.organization_deleted': organization,
  'org.account_created': nothing,
  'org.account_updated': nothing,
  'org.invite_created': nothing,
  'org.invite_deleted': nothing,
  'org.invite_accepted': nothing,
  'project.created': project,
  'project.updated': project,
  'project.moved': project,
  'project.deleted': project,
  'project.undeleted': project,
  'project.held': project,
  'project.released': project,
  'project.migrated': project,
  'project.events_deleted': project,
  'project.move_finalized': nothing,
  'project.slots_changed': nothing,
  'token.created': token,
  'token.revoked': token,
  'token.key_created': key,
  'token.key_updated': key,
  'token.key_revoked': key,
};

/** Applies an event to the state, and returns what the cache must forget. */
function apply(state: State, event: Event): string[] {
  const { id, service, incarnation, sequence } = event;
  const position = state.positions[service];
  // An event of a log from before a restored backup.
  if (position !== undefined && incarnation < position.incarnation) return [];
  const isContinued = position === undefined || incarnation === position.incarnation;
  // After a restored backup, events with these ids arrive again.
  if (!isContinued) state.recentIds = [];
  if (state.recentIds.includes(id)) return [];
  const isGap = position !== undefined && isContinued && sequence > position.sequence + 1;
  if (position === undefined || !isContinued || sequence > position.sequence) {
    state.positions[service] = { incarnation, sequence };
  }
  state.recentIds = [...state.recentIds, id].slice(-recentIdsMax);
  const end = service === 'billing' ? nothing : ends[`${service}.${event.name}`];
  if (isGap || !isContinued || end === undefined) return [`all ${service}`];
  return end(event.body);
}

function eventOf(message: JsMsg): Event {
  const header = (name: string) => message.headers?.get(name) ?? '';
  const [, , service = '', name = ''] = header('ce-type').split('.');
  const sequence = Number(header('ce-sequence'));
  const incarnation = header('ce-incarnation');
  return { id: header('ce-id'), service, name, incarnation, sequence, body: message.json() };
}

async function readState(file: string): Promise<State> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { positions: {}, recentIds: [] };
  }
}

/** Replaces the file atomically: a process that is killed leaves the old state or the new one. */
async function writeState(file: string, state: State): Promise<void> {
  await writeFile(`${file}.new`, JSON.stringify(state));
  await rename(`${file}.new`, file);
}

const stateFile = process.argv[2];
const { NATS_URL } = process.env;
if (stateFile === undefined || NATS_URL === undefined) {
  console.error(
    'Usage: NATS_URL=nats://subscriber:PASSWORD@HOST:4222 node subscriber.ts STATE_FILE',
  );
  process.exit(2);
}
const { host, username: user, password } = new URL(NATS_URL);
const connection = await connect({
  ...{ servers: host, user, pass: decodeURIComponent(password), timeout: connectMs },
  // The user may subscribe to no other inbox.
  inboxPrefix: `_INBOX.${user}`,
  maxReconnectAttempts: -1,
  // Otherwise the client gives up at the second refused login, as while a password changes.
  ignoreAuthErrorAbort: true,
});
const manager = await connection.jetstreamManager();
// The same request finds the consumer of an earlier run, and where that run has stopped.
await manager.consumers.add('SILO', {
  durable_name: 'access-cache-typescript',
  filter_subject: 'silo.v1.>',
  deliver_policy: DeliverPolicy.All,
  ack_policy: AckPolicy.Explicit,
  max_ack_pending: 100,
});
const consumer = await connection.jetstream().consumers.get('SILO', 'access-cache-typescript');
const state = await readState(stateFile);
const messages = await consumer.consume({ max_messages: 100, abort_on_missing_resource: true });
process.once('SIGTERM', () => messages.stop());
for await (const message of messages) {
  for (const line of apply(state, eventOf(message))) console.log(`forget ${line}`);
  // Done last, because an event that is not acknowledged is delivered again.
  await writeState(stateFile, state);
  message.ack();
}
await connection.drain();
