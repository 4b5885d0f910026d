/** Tokens and projects that end during a flood: none of their events is stored afterwards. */
import { join } from 'node:path';
import test from 'ava';
import { startFaultSilo } from '../fault-silo.ts';
import { race } from './race.ts';

const withoutPermits = join(import.meta.dirname, '..', 'service-with-unheld-permits.ts');
const takenAtLeast = 20_000;
const endsMax = 100;
/**
 * One edge in the project service, and two separate ones; a short lease allows more ends in less
 * time.
 */
const deployment = { edges: 2, environment: { LEASE_MS: '2000', LEASE_RENEW_MS: '950' } };
const load = { projects: 4, senders: 4, perBatch: 100 };
/** Both kinds of ends, for each project. */
const endsAtLeast = 2 * load.projects;

test.serial(
  'after RegenerateProjectToken or DeleteProject has returned no event is stored, on any edge, without NATS',
  async (t) => {
    await using silo = await startFaultSilo(deployment);
    // NATS first does not respond, and then is killed.
    silo.natsServer.signal('SIGSTOP');
    let natsKilled: Promise<void> | undefined;
    const tally = await race(silo, {
      ...load,
      isOver: ({ taken, ends }) => {
        if (taken >= takenAtLeast / 2) natsKilled ??= silo.natsServer.kill();
        return taken >= takenAtLeast && ends >= endsAtLeast;
      },
    });
    await natsKilled;
    t.log(tally);
    const { late, missing, unfinished } = tally;
    t.deepEqual({ late, missing, unfinished }, { late: [], missing: [], unfinished: [] });
    t.is(tally.lost, 0, 'every edge runs, and answers each request');
    t.true(tally.taken >= takenAtLeast && tally.ends >= endsAtLeast);
    t.true(tally.refused > 0);
    t.deepEqual(silo.failures, []);
  },
);

test.serial('without permits, an event that is stored too late is detected', async (t) => {
  await using silo = await startFaultSilo({ ...deployment, main: withoutPermits });
  await silo.natsServer.kill();
  const tally = await race(silo, {
    ...load,
    // Guards acknowledge with their renewals, every 950 ms, so two commits take longer, however
    // fast the machine is. One commit may take a second.
    commitMs: 800,
    isOver: ({ late, ends }) => late.length > 0 || ends >= endsMax,
  });
  t.log(tally);
  t.true(tally.late.length > 0);
});
