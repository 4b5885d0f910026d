/**
 * Guards in separate processes while access is removed and a nemesis strikes: access that an RPC
 * has removed when it returns is accepted by no guard.
 */
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import test, { type ExecutionContext } from 'ava';
import { join } from '../../authorization/world.ts';
import type { SignedUp } from '../../harness/clients.ts';
import { eventually } from '../../harness/eventually.ts';
import { machineMs } from '../../harness/machine-clock.ts';
import { millisecondsOf } from '../../harness/yardstick.ts';
import { holdCommand, releaseAll } from '../fail-points.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { checkingMax, Fleet } from './fleet.ts';
import { startForger } from './forger.ts';
import { revokingRpcs } from './kinds.ts';
import { Ledger } from './ledger.ts';
import { Oracle } from './oracle.ts';
import { aftermath, check, controls, leases, runStorm, summarize } from './suite.ts';
import { patience } from './worker.ts';

const [lease] = leases;
const guardsCount = 20;
/** Ends a run that hangs; no machine is this slow. */
const hangsMs = 60 * 60_000;

let cluster: Cluster;
let fleet: Fleet;
test.before(async (t) => {
  t.timeout(hangsMs);
  cluster = await startCluster(lease);
  fleet = await Fleet.start(cluster, { count: guardsCount });
});
test.after.always(async () => {
  await fleet?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

/** Set in the environment to repeat a run. */
function seedOf(t: ExecutionContext): number {
  const seed = Number(process.env.SILO_FAULTS_SEED ?? Math.floor(Math.random() * 2 ** 31));
  t.log(`SILO_FAULTS_SEED=${seed}`);
  return seed;
}

test.serial(
  'during 500 revocations of every kind and faults of every kind, no guard accepts removed access',
  async (t) => {
    t.timeout(hangsMs);
    const seed = seedOf(t);
    const log: string[] = [];
    const outcome = await runStorm(cluster, fleet, {
      ...{ seed, revocations: 500, lease, everyAttempts: 25 },
      // A machine that starts killed processes slowly sees fewer strikes in the same number of
      // revocations.
      least: { strikes: 14, kinds: revokingRpcs.length },
      log: (line) => log.push(line),
    });
    const { report, returned, strikes } = outcome;
    const wrong = [...report.violations, ...(await aftermath(cluster, fleet))];
    if (wrong.length > 0) t.log(log.join('\n'));
    t.deepEqual(wrong, []);
    t.deepEqual([...returned.keys()].sort(), [...revokingRpcs].sort());
    t.true(strikes >= 14, `${strikes} strikes`);
    t.true(report.proved > 0.8 * report.ended, `${report.proved} of ${report.ended} proved`);
    t.log(summarize(outcome).join('\n'));
  },
);

test.serial(
  'while a process forges batches and acknowledgements, no guard accepts removed access',
  async (t) => {
    t.timeout(hangsMs);
    const seed = seedOf(t);
    const forger = await startForger(cluster);
    const outcome = await runStorm(cluster, fleet, {
      ...{ seed, revocations: 60, lease, everyAttempts: 10, names: ['stopGuard', 'deafenGuard'] },
      log: () => {},
    });
    const forged = await forger.end();
    t.deepEqual([...outcome.report.violations, ...(await aftermath(cluster, fleet))], []);
    t.true(forged > outcome.attempts, `${forged} forged messages`);
    t.log([`${forged} forged messages`, ...summarize(outcome)].join('\n'));
  },
);

test.serial(
  'after the storm a barrier takes about one round trip, and every guard acknowledges it',
  async (t) => {
    const { api, projectId } = await cluster.signUp('Quiet');
    const { projectTokens } = api;
    let tries = 0;
    // A pause of the machine may end the lease of a guard, or make a few barriers slow.
    await eventually(async () => {
      t.true(++tries <= 3, 'a bug would show each time');
      const fromMs = machineMs();
      const elapsedMs: number[] = [];
      for (let round = 0; round < 10; round++) {
        const { propagation } = await projectTokens.regenerateProjectToken({
          ...{ projectId, expectedFingerprint: '', requestId: '' },
        });
        const { guards = 0, acknowledged } = propagation ?? {};
        if (guards < guardsCount || acknowledged !== guards) {
          throw new Error(`${acknowledged} of ${guards} guards have acknowledged`);
        }
        elapsedMs.push(millisecondsOf(propagation?.elapsed));
      }
      elapsedMs.sort((a, b) => a - b);
      const roundMs = cluster.yardstick.longestMs(fromMs, machineMs());
      const found = `median ${elapsedMs[5]} ms, worst ${elapsedMs[9]} ms; a round ${roundMs} ms`;
      t.log(`barriers: ${found}`);
      // Renewals alone would take most of a renewal's interval with this number of guards.
      const boundMs = Math.max(lease.renewMs / 2, 50 * roundMs);
      if ((elapsedMs[5] ?? Number.POSITIVE_INFINITY) >= boundMs) throw new Error(found);
    });
    t.pass();
  },
);

test.serial(
  'a guard that missed the event of a revocation whose RPC died refuses the access within a renewal and a lease',
  async (t) => {
    using oracle = new Oracle(cluster, lease);
    const ledger = new Ledger(fleet, cluster.yardstick);
    const [ada, bob] = [await cluster.signUp('Ada'), await cluster.signUp('Bob')];
    const fromMs = machineMs();
    await join(ada, bob, Level.LEVEL_MEMBER);
    const held = ledger.give(
      'a member, RemoveMember',
      { kind: 'key', key: bob.apiKey, scope: 'project:read', projectId: ada.projectId },
      fromMs,
    );
    await eventually(() => {
      if (fleet.acceptedBy(held) < checkingMax) throw new Error('not all accept it yet');
    });
    const deaf = fleet.guards.find(({ name }) => fleet.isChecking(name, held));
    const [org] = cluster.services.org;
    if (deaf === undefined) return t.fail('nobody to strike');
    deaf.disturb(['nats'], { kind: 'cut' });
    // Decided by a process that dies before it knows.
    const commit = await holdCommand(cluster.mongo, {
      ...{ service: 'org', command: 'commitTransaction', collection: 'events', outcome: 'done' },
    });
    t.teardown(() => releaseAll(cluster.mongo));
    const removal = ada.api.organizations.removeMember({
      ...{ organizationId: ada.organization.id, accountId: bob.account.id, etag: '' },
      requestId: 'dies',
    });
    const died = t.throwsAsync(removal);
    await commit.entered();
    org.kill();
    await Promise.all([org.exited, died]);
    const members = cluster.mongo.db('silo_org').collection('memberships');
    await eventually(async () => {
      const left = await members.countDocuments({
        organizationId: ada.organization.id,
        accountId: bob.account.id,
      });
      if (left > 0) throw new Error('it is not decided yet');
    });
    await commit.release();
    await org.start();
    const boundMs = await oracle.boundOf([ledger.question(held)]);
    if (boundMs === undefined) return t.fail('the removal was not decided');
    ledger.end(held, boundMs, 'bounded');
    await eventually(() => {
      if (machineMs() < boundMs + 200) throw new Error('the bound is not over');
    });
    await fleet.reports();
    const report = await check(fleet, ledger, lease, [deaf.name]);
    deaf.heal();
    fleet.retireAll();
    t.deepEqual(report.violations, []);
    t.is(report.proved, 1);
    t.deepEqual(await aftermath(cluster, fleet), []);
  },
);

test.serial('a revocation that takes longer than a lease and its own work is found', async (t) => {
  const ledger = new Ledger(fleet, cluster.yardstick);
  const ada = await cluster.signUp('Ada');
  t.teardown(() => signalTokenServices('SIGCONT'));
  const found: string[] = [];
  // The machine may become slower while a call ends, and then the call may take longer, too.
  for (let tries = 0; tries < 5 && found.length === 0; tries++) {
    await removeWhileTokenHangs(ada, ledger);
    found.push(...(await check(fleet, ledger, lease)).violations);
  }
  t.regex(found.join(), /^RemoveMember took \d+ ms and said/);
});

function signalTokenServices(signal: NodeJS.Signals): void {
  for (const service of cluster.services.token) service.kill(signal);
}

/** Removes a new member while every token service is stopped for longer than allowed. */
async function removeWhileTokenHangs(ada: SignedUp, ledger: Ledger): Promise<void> {
  const { id: organizationId } = ada.organization;
  const bob = await cluster.signUp('Bob');
  await join(ada, bob, Level.LEVEL_MEMBER);
  signalTokenServices('SIGSTOP');
  const sentMs = machineMs();
  const outcome = ada.api.organizations
    .removeMember({ organizationId, accountId: bob.account.id, etag: '', requestId: '' }, patience)
    .then(() => 'OK')
    .catch(String);
  await eventually(() => {
    const workMs = 60 * cluster.yardstick.longestMs(sentMs, machineMs());
    if (machineMs() < sentMs + lease.leaseMs + workMs) throw new Error('it may still be in time');
  });
  signalTokenServices('SIGCONT');
  const what = 'RemoveMember';
  ledger.attempted({ what, sentMs, outcome: await outcome, endedMs: machineMs() });
}

test.serial('with one protection switched off in the guards, a violation is found', async (t) => {
  t.timeout(hangsMs);
  const seed = seedOf(t);
  await fleet[Symbol.asyncDispose]();
  const without = 'clocks-at-each-use';
  fleet = await Fleet.start(cluster, { count: 6, without });
  const found: string[] = [];
  // In a single storm on a busy machine, guards may resume too late to show it.
  for (let tries = 0; tries < 5 && found.length === 0; tries++) {
    const { report } = await runStorm(cluster, fleet, {
      ...{ seed: seed + tries, revocations: 30, lease, everyAttempts: 4, ...controls[without] },
      log: () => {},
    });
    t.log(report.violations.slice(0, 3).join('\n'));
    found.push(
      ...report.violations.filter((each) =>
        / accepts from memory .* after its RPC had returned/.test(each),
      ),
    );
  }
  t.true(found.length > 0);
});
