import { errors } from '@silo/errors/errors.ts';
import test from 'ava';
import { isLate, isUnanswered, untilInTime } from './eventually.ts';

test('a request is repeated until it is answered in time, at most 20 times', async (t) => {
  let sent = 0;
  const send = async () => ++sent;
  t.is(await untilInTime(send, (outcome) => outcome < 3), 3);
  t.is(await untilInTime(send, async () => true), 23);
  t.is(sent, 23);
});

test('an unconfirmed revocation is repeated, except in tests of revocations', (t) => {
  const ended = errors.callEnded('deadline');
  t.deepEqual([isUnanswered(ended), isLate(ended)], [true, true]);
  const unconfirmed = errors.propagationUnconfirmed();
  t.deepEqual([isUnanswered(unconfirmed), isLate(unconfirmed)], [true, false]);
});
