/** Clients that keep sending while MongoDB stands still. */
import test from 'ava';
import { startFaultSilo } from '../fault-silo.ts';
import { useInOutage } from './memory.ts';

const heldBytesMax = 28 * 2 ** 20;

test('while MongoDB stands still an edge holds what its limit allows, refuses the rest with 503, and continues later', async (t) => {
  await using silo = await startFaultSilo({
    edges: 1,
    environment: { EDGE_HELD_BYTES: String(heldBytesMax) },
  });
  const { projectToken: token } = await silo.signUp();
  const [, edge] = silo.edges;
  if (edge === undefined) throw new Error('no edge runs alone');
  // Few large events, because the time to store them afterwards depends on their number.
  const sizes = { bodyBytes: 1_000_000, eventBytes: 100_000 };
  const options = { clients: 40, ...sizes, refusalsEach: 1 };
  const use = await useInOutage(silo, { edge, token, ...options });
  t.log(use);
  t.true(use.heldPeak > heldBytesMax / 2);
  t.true(use.heldPeak <= heldBytesMax);
  t.deepEqual(use.dishonest, []);
  t.deepEqual(silo.failures, []);
});
