/** The rotation of broadcast keys in a deployment, with guards that exist before and after it. */
import { messageKey, sealMessage } from '@silo/events/authentication.ts';
import { AuthenticatedMessage } from '@silo/protos/gen/silo/events/internal/v1/authenticated_message.ts';
import { ReadEventsResponse } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { machineMs } from '../../../test/harness/machine-clock.ts';
import { connectToNats } from '../../../test/harness/patient-nats.ts';
import { startTestSilo, type TestSilo } from '../../../test/harness/silo.ts';
import { millisecondsOf, Yardstick } from '../../../test/harness/yardstick.ts';
import type { Guard } from '../create-guard.ts';
import { openGuard, untilReadLease, untilRemembered } from './guard-support.ts';

const minuteMs = 60_000;
/**
 * The registry's times: a key is replaced at this age, used after a minute, and ended after twice
 * both.
 */
const rotateMs = 60 * minuteMs;
const signAfterMs = minuteMs;
const lifeMs = 2 * (rotateMs + signAfterMs);

type KeyDocument = { _id: number; keyId: string; secret: { buffer: Uint8Array } };

/** The stored keys and leases, and the event batches of the token service on NATS. */
async function observe(t: ExecutionContext, silo: TestSilo) {
  const db = silo.mongo.db(`${silo.databasePrefix}_token`);
  const keys = db.collection<KeyDocument>('broadcast_keys');
  const leases = db.collection<{ _id: string; version: number }>('guard_leases');
  const subject = `numbered.${silo.natsSubjectPrefix}.token`;
  const nats = await connectToNats({ url: silo.natsUrl });
  t.teardown(() => nats.close());
  const batches: AuthenticatedMessage[] = [];
  nats.subscribe(subject, {
    callback: (_error, { data }) => void batches.push(AuthenticatedMessage.decode(data)),
  });
  await nats.flush();
  const key = (number: number) =>
    eventually(async () => {
      const found = await keys.findOne({ _id: number });
      if (found === null) throw new Error(`no key ${number}`);
      return messageKey(found.keyId, found.secret.buffer);
    });
  return {
    ...{ key, batches },
    /** Makes every key older. */
    age: async (byMs: number) => {
      await keys.updateMany({}, [{ $set: { createTime: { $subtract: ['$createTime', byMs] } } }]);
    },
    /**
     * Returns a function that throws until a call sent after this moment has renewed every lease.
     */
    renewal: async () => {
      const before = await leases.find({ releaseTime: { $exists: false } }).toArray();
      return async () => {
        for (const { _id, version } of before) {
          const after = await leases.findOne({ _id });
          // Two renewals, because the first may have been sent before.
          if (after !== null && after.version < version + 2) throw new Error('not renewed twice');
        }
      };
    },
    /** Publishes a batch that is authenticated by this key. */
    publish: async (by: ReturnType<typeof messageKey>, payload: Uint8Array) => {
      nats.publish(subject, sealMessage(by, subject, payload));
      await nats.flush();
    },
  };
}

const ignoredOf = (guard: Guard) => Object.values(guard.status().ignored).reduce((a, b) => a + b);

test('guards accept batches before, during and after a rotation, but none with an ended key', async (t) => {
  await using silo = await startTestSilo();
  const ada = await silo.signUp('Ada');
  const { age, batches, key, publish, renewal } = await observe(t, silo);
  await using yardstick = await Yardstick.start(silo.mongo);
  const guards = [openGuard(t, silo, { name: 'before' })];
  let { projectToken } = ada;

  /**
   * A revocation that every guard has received and acknowledged when it returns, rather than by a
   * renewal.
   */
  const revoke = () =>
    eventually(async () => {
      for (const guard of guards) await untilRemembered(() => guard.verifyToken(projectToken));
      const fromMs = machineMs();
      const request = { projectId: ada.projectId, expectedFingerprint: '', requestId: '' };
      const answer = await ada.api.projectTokens.regenerateProjectToken(request);
      const roundMs = yardstick.longestMs(fromMs, machineMs());
      for (const guard of guards) t.false((await guard.verifyToken(projectToken)).allowed);
      projectToken = answer.projectToken?.token ?? '';
      const { expired, elapsed } = answer.propagation ?? {};
      t.is(expired, 0);
      const elapsedMs = millisecondsOf(elapsed);
      // A guard that has just connected may not be subscribed yet; one that ignores batches never
      // acknowledges quickly.
      if (elapsedMs >= 50 * roundMs) {
        throw new Error(`${elapsedMs} ms, where a round takes ${roundMs}`);
      }
    });
  /** Revokes until the condition holds. */
  const revokeUntil = (look: () => Promise<unknown> | unknown) =>
    eventually(async () => {
      await revoke();
      await look();
    });
  const untilSignedBy = (keyId: string) =>
    revokeUntil(() => {
      if (batches.at(-1)?.keyId !== keyId) throw new Error(`signed by ${batches.at(-1)?.keyId}`);
    });

  for (const guard of guards) await untilReadLease(guard);
  const first = await key(1);
  await untilSignedBy(first.id);

  await age(rotateMs);
  const second = await key(2);
  const allRenewed = await renewal();
  await revokeUntil(async () => {
    t.is(batches.at(-1)?.keyId, first.id, 'distributed, but not used yet');
    await allRenewed();
  });
  await age(signAfterMs);
  const after = openGuard(t, silo, { name: 'after' });
  await untilReadLease(after);
  guards.push(after);
  await untilSignedBy(second.id);
  // A batch that was applied already, so that it only shows whether it is accepted.
  const known = batches.at(-1)?.payload ?? Buffer.alloc(0);
  await publish(first, known);
  await revoke();
  t.deepEqual(guards.map(ignoredOf), [0, 0], 'every batch was accepted, by either key');

  await age(lifeMs - rotateMs - signAfterMs);
  await revokeUntil(async () => {
    await publish(first, known);
    if (guards.some((guard) => ignoredOf(guard) === 0)) throw new Error('it is still accepted');
  });
  // Events that would hide the real ones from a guard that accepts them.
  const { head } = ReadEventsResponse.decode(batches.at(-1)?.payload ?? Buffer.alloc(0));
  const { incarnation = '', sequence = 0 } = head ?? {};
  const events = Array.from({ length: 20 }, (_, index) => ({
    ...{ id: `forged-${index}`, subject: 'key_forged', time: undefined, correlationId: '' },
    ...{ actor: '', type: 'internal.silo.token.key_updated.v1' },
    ...{ sequence: sequence + 1 + index, bodyJson: JSON.stringify({ keyId: 'key_forged' }) },
  }));
  const forged = { events, head: { incarnation, sequence: sequence + 20 } };
  await publish(first, ReadEventsResponse.encode(forged).finish());
  await revoke();
});
