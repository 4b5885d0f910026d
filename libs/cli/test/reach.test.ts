import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { Metadata, status } from '@grpc/grpc-js';
import test from 'ava';
import { CallFailure, Failure } from '../failure.ts';
import { type Patience, patient, watchedBy } from '../patient.ts';
import { noProgress } from '../progress.ts';
import { complaintOf, downFailure, type Probe, whyDown } from '../reach.ts';

const never = new AbortController().signal;

/** A probe whose sleeps end at once; `slept` is their total. */
function probe(rest: Partial<Probe>) {
  const slept = { ms: 0 };
  const sleep = async (durationMs: number) => {
    slept.ms += durationMs;
  };
  const whole = { isConnected: () => false, complaint: async () => 'refused', sleep, ...rest };
  return { slept, probe: whole };
}

test('a server is down if nothing listens for a second', async (t) => {
  const { probe: away, slept } = probe({});
  t.is(await whyDown(away, never), 'refused');
  t.true(slept.ms >= 500 && slept.ms <= 1_000);
});

test('the delay of a command that waits for a processor does not count as the server’s delay', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const complaint = complaintOf(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  for (const untilMs = performance.now() + 700; performance.now() < untilMs; );
  t.is(await complaint, undefined);
});

test('a server that accepts a connection in time is up, even if it is slow to answer', async (t) => {
  let looks = 0;
  const late = probe({ isConnected: () => ++looks > 3 });
  t.is(await whyDown(late.probe, never), undefined);
  t.is(looks, 4);
  t.is(await whyDown(probe({ complaint: async () => undefined }).probe, never), undefined);
});

test('a port without a listener is distinguished from a silent server', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.is(await complaintOf(address), undefined);
  await new Promise((closed) => server.close(closed));
  t.is(await complaintOf(address), 'ECONNREFUSED');
});

const silence = Object.assign(new Error('nobody there'), {
  code: status.UNAVAILABLE,
  details: '',
  metadata: new Metadata(),
});

const patience: Patience = {
  ...{ signal: never, requestId: undefined, progress: noProgress },
  sleep: async () => {},
};

test('a call to a server that is down fails with the address, without further retries', async (t) => {
  const failure = (why: string) => downFailure('org', '127.0.0.1:1', why, '/home/ada/.silo/ca.pem');
  const watched = watchedBy(patience, async () => 'ECONNREFUSED', failure);
  const { getAccount } = patient(
    {
      getAccount: async (_: object) => {
        throw silence;
      },
    },
    watched,
  );
  const error = await t.throwsAsync(getAccount({}), { instanceOf: Failure });
  t.regex(error?.message ?? '', /nothing listens at 127\.0\.0\.1:1 \(org\): ECONNREFUSED/);
  t.is(error?.next, 'is it running? npm start, in /home/ada');
});

test('a call to a server that listens is retried as usual', async (t) => {
  let calls = 0;
  const watched = watchedBy(
    patience,
    async () => undefined,
    () => new Error('down'),
  );
  const method = async (_: object) => {
    calls++;
    throw silence;
  };
  await t.throwsAsync(patient({ method }, watched).method({}), { instanceOf: CallFailure });
  t.is(calls, 5);
});
