import { freePort } from '@silo/embedded/ports.ts';
import { startServer } from '@silo/rpc/server.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import test from 'ava';
import { certificate } from '../../../test/harness/certificates.ts';
import { eventually } from '../../../test/harness/eventually.ts';
import { lookAtProcesses } from '../look-at-processes.ts';

test('each process behind a name or a list is examined, and edges if they have an address', async (t) => {
  const port = await freePort();
  const hosts = ['127.0.0.1', '127.0.0.2'];
  const replicas = hosts.map((host) => `${host}:${port}`);
  for (const address of replicas) {
    const replica = await startServer({
      ...{ address, tls: certificate('service-org'), internal: true, services: [], region: 'us' },
      ...{ access: undefined as never, log: silentLogger() },
    });
    t.teardown(() => replica[Symbol.asyncDispose]());
  }
  const [first = ''] = replicas;
  const list = `ipv4:${first},${first}`;
  const look = () =>
    lookAtProcesses(
      {
        addresses: { org: `localhost:${port}`, project: list, token: first, billing: first },
        edge: `dns:///localhost:${port}`,
        tls: certificate('staff-operator'),
      },
      Date.now,
      async (name) => (name === 'localhost' ? hosts : [name]),
    );
  const { processes, certificates } = await eventually(async () => {
    const found = await look();
    for (const { process } of found.processes) {
      if (!('seen' in process)) throw new Error(JSON.stringify(process));
    }
    return found;
  });
  t.deepEqual(
    processes.map(({ service, address }) => `${service} ${address}`),
    [
      ...replicas.map((address) => `org ${address}`),
      ...['project', 'project', 'token', 'billing'].map((service) => `${service} ${first}`),
      ...replicas.map((address) => `edge ${address}`),
    ],
  );
  // One certificate per process, that of the CA, and that of the operator.
  t.is(certificates.length, processes.length + 2);
});
