/**
 * A process that may publish anything on NATS and has no certificate. It forges event batches and
 * acknowledgements, and replays messages, until SIGTERM. Then it prints the number of messages that
 * it has published.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { HostileClient, sources } from '../../harness/hostile-client.ts';

const paceMs = 20;
/** It rests this many times as long as it works, to leave the machine to others. */
const restFactor = 4;
const raises = [0, 1, 20, 1_000_000];

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
await using hostile = await HostileClient.open(process.env.NATS_URL ?? '', 'silo.v1');
for (let turn = 0; !stop.signal.aborted; turn++) {
  const startedMs = performance.now();
  for (const source of sources) await hostile.forgeNextBatch(source, 1 + (turn % 20));
  await hostile.raiseAcknowledgements(raises[turn % raises.length] ?? 0);
  if (turn % 10 === 0) await hostile.replay();
  await pause(Math.max(paceMs, restFactor * (performance.now() - startedMs)));
}
console.log(`forged ${hostile.forged} messages`);
