/** Each process is stopped and started again, one after the other, while accounts and SDKs work. */
import test from 'ava';
import { invariantsHold } from '../invariants.ts';
import { storedEvents } from './captures/stored.ts';
import { processesOf } from './fault-silo.ts';
import { startReplicatedSilo } from './replicated-silo.ts';
import { Traffic } from './traffic.ts';

test('a rolling restart under load: no call fails beyond a repeated UNAVAILABLE', async (t) => {
  await using silo = await startReplicatedSilo();
  await using traffic = await Traffic.start(silo);
  await traffic.goesOn();
  for (const process of processesOf(silo)) {
    await process.restart();
    await traffic.goesOn();
  }
  await traffic.stop();
  t.log(`${JSON.stringify(traffic.rounds)} rounds, ${traffic.repeated} calls repeated`);
  t.deepEqual(traffic.failures, []);
  t.deepEqual(silo.failures, []);
  const accepted = traffic.accepted.map((uuid) => uuid.replaceAll('-', '')).sort();
  t.deepEqual(await storedEvents(silo, traffic.ada.projectId), accepted);
  await invariantsHold(t, silo);
});
