/**
 * Attacks a public port of Silo on loopback, in a separate process. Each message of its parent
 * starts the attack that it names, and the reply confirms the start. The attack runs until the next
 * message.
 */
import type { ClientHttp2Session } from 'node:http2';
import { ServerReflectionRequest } from '@silo/protos/gen/grpc/reflection/v1/reflection.ts';
import { beginCall, connectRaw, framed, type RawTarget } from '@silo/rpc/test/raw-client.ts';
import { newApiKey } from '@silo/tokens/secrets.ts';

/** The attacks: reflection answers that are never read, uploads that never end … */
export type Attack = 'reflection' | 'uploads' | 'unknown-keys' | 'none';

const { address, ca, from }: RawTarget = JSON.parse(process.argv[2] ?? '');
const reflectionPath = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
const createAccountPath = '/silo.org.v1.AccountService/CreateAccount';
const getAccountPath = '/silo.org.v1.AccountService/GetAccount';
const againMs = 1_000;

const attacks: Record<Attack, () => Promise<void>> = {
  none: async () => {},
  // Streams beyond a server's limit wait in the client, so many connections are used.
  reflection: () => onConnections(30, { initialWindowSize: 0 }, requestFiles),
  uploads: () => onConnections(10, {}, uploadWithoutEnd),
  'unknown-keys': () => onConnections(16, {}, callWithUnknownKeys),
};

let sessions: ClientHttp2Session[] = [];
let timer: NodeJS.Timeout | undefined;

process.on('message', async (attack: Attack) => {
  clearInterval(timer);
  for (const session of sessions.splice(0)) session.destroy();
  await attacks[attack]();
  // Refused streams are tried again, as by an attacker.
  if (attack !== 'none') timer = setInterval(() => void attacks[attack](), againMs);
  process.send?.('under way');
});
process.once('disconnect', () => process.exit());
process.send?.('ready');

async function onConnections(
  connections: number,
  settings: RawTarget['settings'],
  act: (session: ClientHttp2Session) => void,
): Promise<void> {
  // Connections that are still open keep their streams.
  sessions = sessions.filter((session) => !session.closed && !session.destroyed);
  const missing = Math.max(0, connections - sessions.length);
  const opened = await Promise.allSettled(
    Array.from({ length: missing }, () => connectRaw({ address, ca, from, settings })),
  );
  for (const each of opened) {
    if (each.status === 'rejected') continue;
    sessions.push(each.value);
    act(each.value);
  }
}

function requestFiles(session: ClientHttp2Session): void {
  const question = ServerReflectionRequest.encode({
    host: '',
    messageRequest: { $case: 'fileContainingSymbol', value: 'silo.org.v1.AccountService' },
  }).finish();
  for (let stream = 0; stream < 100; stream++) {
    beginCall(session, reflectionPath).write(framed(question));
  }
}

function uploadWithoutEnd(session: ClientHttp2Session): void {
  // All but the last byte: one size is more than a server allows, the other the maximum of a method
  // with a key.
  const upload = (path: string, sizeBytes: number, headers = {}) =>
    beginCall(session, path, headers).write(framed(Buffer.alloc(sizeBytes - 1), sizeBytes));
  for (let stream = 0; stream < 10; stream++) {
    upload(createAccountPath, 4 * 2 ** 20);
    upload(getAccountPath, 256 * 1_024, { authorization: `Bearer ${newApiKey()}` });
  }
}

function callWithUnknownKeys(session: ClientHttp2Session): void {
  for (let stream = 0; stream < 100; stream++) {
    beginCall(session, getAccountPath, { authorization: `Bearer ${newApiKey()}` }).end(
      framed(Buffer.alloc(0)),
    );
  }
}
