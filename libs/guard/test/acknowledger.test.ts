import { randomBytes } from 'node:crypto';
import { subscribeAcknowledgements } from '@silo/events/acknowledgements.ts';
import { messageKey } from '@silo/events/authentication.ts';
import { connectNats } from '@silo/events/connect.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import test, { type ExecutionContext } from 'ava';
import { required } from '../../../test/harness/environment.ts';
import { eventually } from '../../../test/harness/eventually.ts';
import { Acknowledger } from '../acknowledger.ts';

/** An acknowledger, and the leases whose acknowledgements the registry accepts. */
async function open(t: ExecutionContext) {
  const log = silentLogger();
  const nats = connectNats({ url: required('NATS_URL'), name: 'test', log });
  t.teardown(() => nats[Symbol.asyncDispose]());
  const subjectPrefix = `test_${randomBytes(6).toString('hex')}`;
  const secrets = { earlier: randomBytes(32), later: randomBytes(32) };
  const accepted: string[] = [];
  const subscription = subscribeAcknowledgements(nats, {
    subjectPrefix,
    onAcknowledgement: ({ leaseId }) => void accepted.push(leaseId),
    findSecret: (id) => messageKey(id, secrets[leases.earlier === id ? 'earlier' : 'later']).secret,
    onIgnored: (_subject, reason) => t.fail(reason),
    log,
  });
  t.teardown(() => subscription[Symbol.dispose]());
  const acknowledger = new Acknowledger({ nats, subjectPrefix });
  const acknowledge = (leaseId: string) => {
    acknowledger.acknowledge({
      ...{ kind: 'acknowledge', leaseId, guardName: 'test', positions: {}, applied: {} },
    });
  };
  /** Acknowledges for the lease until the registry accepts one. */
  const untilAccepted = (leaseId: string) =>
    eventually(() => {
      acknowledge(leaseId);
      if (!accepted.includes(leaseId)) throw new Error('no acknowledgement is accepted yet');
    });
  return { acknowledger, acknowledge, untilAccepted, accepted, secrets };
}

// After the wall clock was set back, the id of the next lease is less than that of the last one.
const leases = { earlier: '01zzzzzzzzzzzzzzzzzzzzzzzz', later: '01aaaaaaaaaaaaaaaaaaaaaaaa' };
const at = (monotonicMs: number) => ({ monotonicMs, wallMs: 0 });

test('the lease of the call that was sent last acknowledges, whatever its id', async (t) => {
  const { acknowledger, untilAccepted, secrets } = await open(t);
  acknowledger.useSecret(leases.earlier, secrets.earlier, at(1));
  await untilAccepted(leases.earlier);
  acknowledger.useSecret(leases.later, secrets.later, at(2));
  await untilAccepted(leases.later);
  t.pass();
});

test('a late answer for the lease before changes nothing', async (t) => {
  const { acknowledger, acknowledge, untilAccepted, accepted, secrets } = await open(t);
  acknowledger.useSecret(leases.later, secrets.later, at(2));
  acknowledger.useSecret(leases.earlier, secrets.earlier, at(1));
  acknowledge(leases.earlier);
  await new Promise(setImmediate); // It sends only the last acknowledgement of a turn.
  await untilAccepted(leases.later);
  t.deepEqual([...new Set(accepted)], [leases.later]);
});
