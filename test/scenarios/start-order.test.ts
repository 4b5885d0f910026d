/** Four services, each with a guard, start in any order and with any delay. */
import { ownNatsServer } from '@silo/events/test/support.ts';
import { type ServiceName, serviceNames } from '@silo/service/config.ts';
import test from 'ava';
import type { SignedUp } from '../harness/clients.ts';
import { eventually } from '../harness/eventually.ts';
import { machineMs } from '../harness/machine-clock.ts';
import { prepareTestSilo, type TestSilo } from '../harness/silo.ts';
import { millisecondsOf, Yardstick } from '../harness/yardstick.ts';

/** Leases that are not released in time expire soon. */
const shortLease = { leaseMs: 5_000 };

function ordersOf<T>(things: readonly T[]): T[][] {
  if (things.length < 2) return [[...things]];
  return things.flatMap((first) => {
    const rest = things.filter((other) => other !== first);
    return ordersOf(rest).map((order) => [first, ...order]);
  });
}

async function stopAll(silo: TestSilo): Promise<void> {
  await Promise.all(serviceNames.map((name) => silo.stop(name)));
}

/** Makes a change in three services that needs an access check. */
async function changeEverything({ api, organization, projectId, apiKeyId }: SignedUp) {
  const request = { projectId, expectedFingerprint: '', requestId: '' };
  const { propagation } = await api.projectTokens.regenerateProjectToken(request);
  const { project } = await api.projects.getProject({ projectId });
  await api.projects.updateProject({
    ...{ project: project && { ...project, name: `Renamed ${apiKeyId}` } },
    ...{ updateMask: ['name'], requestId: '' },
  });
  await api.organizations.updateOrganization({
    ...{ organization: { ...organization, name: 'Renamed', etag: '' } },
    ...{ updateMask: ['name'], requestId: '' },
  });
  return propagation;
}

/** A guard without a lease remembers nothing, and is not waited for. */
async function untilAllGuardsAcknowledge(ada: SignedUp): Promise<void> {
  await eventually(async () => {
    const { guards = 0, expired } = (await changeEverything(ada)) ?? {};
    if (guards !== serviceNames.length || expired !== 0) {
      throw new Error(`${guards} guards, of which ${expired} did not answer`);
    }
  });
}

test.serial(
  'services start in any order, and the first changes after the last start succeed',
  async (t) => {
    await using silo = await prepareTestSilo(shortLease);
    for (const order of ordersOf(serviceNames)) {
      for (const name of order) await silo.start(name);
      const ada = await silo.signUp('Ada');
      t.truthy(await changeEverything(ada), order.join());
      await untilAllGuardsAcknowledge(ada);
      await stopAll(silo);
    }
  },
);

test.serial(
  'stopping everything at once leaves no lease for a revocation to wait for',
  async (t) => {
    // Leases are released within a second, which a busy machine may not always manage.
    await eventually(async () => {
      await using silo = await prepareTestSilo(shortLease);
      await Promise.all(serviceNames.map((name) => silo.start(name)));
      const leases = silo.mongo.db(`${silo.databasePrefix}_token`).collection('guard_leases');
      await eventually(async () => {
        const count = await leases.countDocuments();
        if (count < serviceNames.length) throw new Error(`${count} leases`);
      });
      await stopAll(silo);
      const left = await leases.countDocuments({ releaseTime: { $exists: false } });
      if (left > 0) throw new Error(`${left} leases are left`);
    });
    t.pass();
  },
);

test.serial(
  'all services start at once without caches and without NATS, which starts later',
  async (t) => {
    const nats = await ownNatsServer(t);
    await nats.kill();
    await using silo = await prepareTestSilo({
      natsUrl: nats.url,
      leaseMs: 3_000,
      leaseRenewMs: 1_400,
    });
    await Promise.all(serviceNames.map((name) => silo.start(name)));
    const ada = await silo.signUp('Ada');
    t.truthy(await changeEverything(ada));
    await untilAllGuardsAcknowledge(ada);
    await nats.start();
    await using yardstick = await Yardstick.start(silo.mongo);
    await eventually(async () => {
      const fromMs = machineMs();
      const elapsedMs = millisecondsOf((await changeEverything(ada))?.elapsed);
      const roundMs = yardstick.longestMs(fromMs, machineMs());
      // Renewals alone would take most of a renewal's interval.
      if (elapsedMs > 20 * roundMs) throw new Error(`${elapsedMs} ms, a round takes ${roundMs}`);
    });
    t.pass();
  },
);

test.serial(
  'services start without token, which starts later; until then no access check succeeds',
  async (t) => {
    await using silo = await prepareTestSilo();
    for (const name of serviceNames) await silo.start(name);
    const ada = await silo.signUp('Ada');
    await stopAll(silo);
    const others: ServiceName[] = ['org', 'project', 'billing'];
    await Promise.all(others.map((name) => silo.start(name)));
    const { projects } = silo.once(ada.apiKey);
    await t.throwsAsync(projects.getProject({ projectId: ada.projectId }), {
      message: /No response in time/,
    });
    await silo.start('token');
    t.like(await ada.api.projects.getProject({ projectId: ada.projectId }), {
      project: { id: ada.projectId },
    });
    t.truthy(await changeEverything(ada));
  },
);
