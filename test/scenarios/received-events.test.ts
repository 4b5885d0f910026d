import { randomUUID } from 'node:crypto';
import test from 'ava';
import { headers } from 'nats';
import { required } from '../harness/environment.ts';
import { eventually } from '../harness/eventually.ts';
import { connectToNats } from '../harness/patient-nats.ts';
import { find, subscribe } from './received-events.ts';

test('only an event that is delivered again with the same ID, subject and body is left out', async (t) => {
  const [natsUrl, natsSubjectPrefix] = [required('NATS_URL'), `received-${randomUUID()}`];
  await using listening = await subscribe({ natsUrl, natsSubjectPrefix });
  const connection = await connectToNats({ url: natsUrl });
  t.teardown(() => connection.close());
  const send = (name: string, id: string | undefined, count: number) => {
    const sent = headers();
    if (id !== undefined) sent.set('ce-id', id);
    const body = JSON.stringify({ count });
    connection.publish(`${natsSubjectPrefix}.${name}`, body, { headers: sent });
  };
  const different = [
    ['first', 'id-1', 1],
    ['other', 'id-1', 1],
    ['first', 'id-1', 2],
    ['first', 'id-2', 1],
  ] as const;
  for (const [name, id, count] of [...different, ...different]) send(name, id, count);
  send('without', undefined, 1);
  send('without', undefined, 1);
  send('last', 'id-3', 1);
  await eventually(() => find(listening.received, `${natsSubjectPrefix}.last`));
  const received = listening.received.map(({ subject, headers: { 'ce-id': id }, body }) => {
    return [subject.slice(natsSubjectPrefix.length + 1), id, body.count];
  });
  const without = ['without', undefined, 1];
  t.deepEqual(received, [...different, without, without, ['last', 'id-3', 1]]);
});
