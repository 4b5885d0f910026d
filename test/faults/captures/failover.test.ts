/** A three-node set that loses its primary during a flood of events through edges. */
import { type MongodSet, startMongodSet } from '@silo/embedded/mongod.ts';
import test from 'ava';
import { required } from '../../harness/environment.ts';
import { eventually } from '../../harness/eventually.ts';
import { type SiloProcesses, startSiloProcesses } from '../../harness/processes.ts';
import { primaryPort } from '../failover-set.ts';
import { Flood, propertiesStored } from './flood.ts';
import { storedAndCounted } from './stored.ts';

const perBatch = 5;
const taken = 50 * perBatch;

let silo: SiloProcesses<MongodSet>;
test.before(async () => {
  const binary = required('MONGOD_BINARY');
  silo = await startSiloProcesses({
    edges: 1,
    startMongodb: (directory) => startMongodSet({ binary, directory, cacheSizeGB: 0.25 }),
  });
});
test.after.always(() => silo?.[Symbol.asyncDispose]());

const untilPrimary = () => eventually(() => primaryPort(silo.mongo));

test.serial(
  'events acknowledged while a primary steps down, or is killed, are stored once',
  async (t) => {
    const { projectToken: token, ...ada } = await silo.signUp('Ada');
    const urls = silo.edges.map(({ url }) => url);
    const flood = new Flood({ urls, token, sendersEach: 4, perBatch });
    await flood.taken(taken);
    const first = await untilPrimary();
    // The answer may be lost with its connection; the new primary proves the step-down.
    await silo.mongo
      .db('admin')
      .command({ replSetStepDown: 60, force: true })
      .catch(() => {});
    const second = await eventually(async () => {
      const port = await primaryPort(silo.mongo);
      if (port === first) throw new Error('it has not stepped down');
      return port;
    });
    await flood.taken(taken);
    const killed = silo.mongod.members.find(({ port }) => port === second);
    killed?.process.kill('SIGKILL');
    await killed?.process.exited;
    await flood.taken(taken);
    t.not(await untilPrimary(), second);
    await flood.end();
    t.log(flood.refused, `${flood.acknowledged.length} events`);
    t.deepEqual(flood.dishonest, []);
    const stored = await storedAndCounted(t, silo, ada, propertiesStored);
    t.deepEqual(stored, flood.acknowledged.toSorted());
    t.deepEqual(silo.failures, []);
  },
);
