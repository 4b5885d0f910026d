import { randomBytes } from 'node:crypto';
import { messageKey } from '@silo/events/authentication.ts';
import { haveReached, type Positions, type Source } from '@silo/guard/core/position.ts';
import { eventually } from '../harness/eventually.ts';
import type { Deployment } from './deployment.ts';
import type { Decision, GuardUnderTest, Question } from './guard-under-test.ts';

/** One rule of the protocol; throws if the guard violates it. */
export type Case = { rule: string; run(world: World): Promise<void> };

const sources = ['org', 'project', 'token'] as const;

/** The context of a case. */
export class World {
  readonly deployment: Deployment;
  readonly guard: GuardUnderTest;

  constructor(deployment: Deployment, guard: GuardUnderTest) {
    this.deployment = deployment;
    this.guard = guard;
  }

  get token(): Question {
    return { verify_token: this.deployment.facts.token };
  }

  get access(): Question {
    const { key, projectId } = this.deployment.facts;
    return { authorize: { key, scope: 'project:read', project_id: projectId } };
  }

  /** A fetch that is too slow on a busy machine decides nothing, so the check is repeated. */
  async expect(question: Question, decision: Decision): Promise<void> {
    const decided = await eventually(async () => {
      const answer = await this.guard.check(question);
      if (answer === 'unavailable') throw new Error('the guard does not fetch in time');
      return answer;
    });
    if (decided !== decision) throw new Error(`the guard says ${decided}, not ${decision}`);
  }

  /** Whether the guard had to fetch facts for its answer. */
  async fetchesFor(question: Question, decision: Decision): Promise<boolean> {
    const { facts } = this.deployment;
    const before = facts.fetches;
    await this.expect(question, decision);
    return facts.fetches > before;
  }

  /** Repeats the check until memory answers. */
  async untilRemembered(question: Question): Promise<void> {
    await eventually(async () => {
      if (await this.fetchesFor(question, 'allowed')) throw new Error('the guard fetches');
    });
  }

  /** Waits for a message that acknowledges a source's head, with the key of the present lease. */
  async untilAcknowledged(source: Source): Promise<void> {
    const { acknowledged, registry, sources } = this.deployment;
    const head = { [source]: sources[source].head };
    await eventually(() => {
      const isReceived = acknowledged.some(({ leaseId, positions }) => {
        return leaseId === registry.lastLease && haveReached(positions, head);
      });
      if (!isReceived) throw new Error(`${source} is not acknowledged`);
    });
  }

  /** Waits for the next renewal, and returns its positions. */
  async nextRenewal(): Promise<{ leaseId: string; applied: Positions; acknowledged: Positions }> {
    const { renewals } = this.deployment.registry;
    const before = renewals.length;
    return await eventually(() => {
      const renewal = renewals[before];
      if (renewal === undefined) throw new Error('no renewal came');
      return renewal;
    });
  }

  async untilApplied(source: Source): Promise<void> {
    const head = { [source]: this.deployment.sources[source].head };
    await eventually(async () => {
      const { applied } = await this.nextRenewal();
      if (!haveReached(applied, head)) throw new Error(JSON.stringify(applied));
    });
  }

  /** Removes the token at its owner, and returns the corresponding event. */
  revokeToken(): readonly [name: string, body: object] {
    const { facts } = this.deployment;
    facts.hasToken = false;
    return ['revoked', { projectId: facts.projectId, fingerprint: facts.tokenFingerprint }];
  }
}

function demand(isSo: boolean, otherwise: string): asserts isSo {
  if (!isSo) throw new Error(otherwise);
}

export const cases: readonly Case[] = [
  {
    rule: 'under a read lease, a fact that was fetched once is answered from memory',
    run: async (world) => {
      await world.untilRemembered(world.token);
      await world.untilRemembered(world.access);
    },
  },
  {
    rule: 'a renewal states the positions of all three sources, and no more acknowledged than applied',
    run: async (world) => {
      await world.untilRemembered(world.token);
      const { applied, acknowledged } = await world.nextRenewal();
      for (const source of sources) demand(applied[source] !== undefined, `${source} is missing`);
      demand(haveReached(applied, acknowledged), 'more is acknowledged than applied');
    },
  },
  {
    rule: 'an event of a batch ends its facts, and is acknowledged with the lease’s secret',
    run: async (world) => {
      await world.untilRemembered(world.token);
      world.deployment.publish('token', ...world.revokeToken());
      await world.untilAcknowledged('token');
      await world.expect(world.token, 'refused');
    },
  },
  {
    rule: 'a removed member is refused, by an event of another source than that of the key',
    run: async (world) => {
      const { deployment } = world;
      await world.untilRemembered(world.access);
      const { accountId, organizationId } = deployment.facts;
      deployment.facts.isMember = false;
      deployment.publish('org', 'member_removed', { accountId, organizationId });
      await world.untilAcknowledged('org');
      await world.expect(world.access, 'refused');
    },
  },
  {
    rule: 'BEHIND: the required events are read from the log, and the read lease begins without another renewal',
    run: async (world) => {
      const { deployment } = world;
      await world.untilRemembered(world.token);
      deployment.sources.token.append(...world.revokeToken());
      deployment.requireHead('token');
      await world.untilApplied('token');
      await world.expect(world.token, 'refused');
      await world.untilRemembered(world.access);
    },
  },
  {
    rule: 'a gap is read from the log',
    run: async (world) => {
      const { deployment } = world;
      await world.untilRemembered(world.token);
      deployment.sources.token.append(...world.revokeToken());
      deployment.publish('token', 'key_created', { keyId: 'key_other', fingerprint: '0' });
      await world.untilAcknowledged('token');
      await world.expect(world.token, 'refused');
    },
  },
  {
    rule: 'an event that is not understood ends all facts of its source',
    run: async (world) => {
      await world.untilRemembered(world.token);
      world.revokeToken();
      world.deployment.publish('token', 'unheard_of', {});
      await world.untilAcknowledged('token');
      await world.expect(world.token, 'refused');
    },
  },
  {
    rule: 'an event without the field that names its fact ends all facts of its source',
    run: async (world) => {
      await world.untilRemembered(world.token);
      world.revokeToken();
      world.deployment.publish('token', 'revoked', { projectId: 'prj_1' });
      await world.untilAcknowledged('token');
      await world.expect(world.token, 'refused');
    },
  },
  {
    rule: 'a later incarnation ends all facts of its source, however low its sequences',
    run: async (world) => {
      const { deployment } = world;
      for (let index = 0; index < 5; index++) {
        deployment.publish('token', 'key_created', { keyId: `key_${index}`, fingerprint: '0' });
      }
      await world.untilApplied('token');
      await world.untilRemembered(world.token);
      world.revokeToken();
      deployment.sources.token.restore();
      deployment.requireHead('token');
      await world.untilApplied('token');
      await world.expect(world.token, 'refused');
    },
  },
  {
    rule: 'LOG_COMPACTED ends all facts of its source, and the head becomes the position',
    run: async (world) => {
      const { deployment } = world;
      await world.untilRemembered(world.token);
      deployment.sources.token.append(...world.revokeToken());
      deployment.sources.token.append('key_created', { keyId: 'key_1', fingerprint: '0' });
      deployment.sources.token.compact();
      deployment.requireHead('token');
      await world.untilApplied('token');
      await world.expect(world.token, 'refused');
    },
  },
  {
    rule: 'a batch that is not authentic is ignored: with an unknown key, a wrong MAC, or another subject',
    run: async (world) => {
      const { deployment } = world;
      await world.untilRemembered(world.token);
      const { broadcastKey } = deployment.registry;
      const log = deployment.sources.token;
      const { incarnation, sequence } = log.head;
      const harmless = { keyId: 'key_forged', fingerprint: '0' };
      const forged = Array.from({ length: 20 }, (_, index) => {
        return log.eventAt(sequence + 1 + index, 'key_created', harmless);
      });
      const head = { incarnation, sequence: sequence + 20 };
      const unknown = messageKey('unknown', randomBytes(32));
      const stolenId = messageKey(broadcastKey.id, randomBytes(32));
      const sealedFor = `numbered.${deployment.subjectPrefix}.org`;
      deployment.broadcast('token', forged, { head, key: unknown });
      deployment.broadcast('token', forged, { head, key: stolenId });
      deployment.broadcast('token', forged, { head, sealedFor });
      deployment.publish('token', ...world.revokeToken());
      await world.untilAcknowledged('token');
      await world.expect(world.token, 'refused');
      const { applied } = await world.nextRenewal();
      demand(applied.token?.sequence === sequence + 1, 'the guard is past the end of the log');
    },
  },
  {
    rule: 'an event past the head that its batch states is ignored',
    run: async (world) => {
      const { deployment } = world;
      await world.untilRemembered(world.token);
      const log = deployment.sources.token;
      const harmless = { keyId: 'key_wrong', fingerprint: '0' };
      const wrong = log.eventAt(log.head.sequence + 1, 'key_created', harmless);
      deployment.broadcast('token', [wrong]);
      deployment.publish('token', ...world.revokeToken());
      await world.untilAcknowledged('token');
      await world.expect(world.token, 'refused');
    },
  },
  {
    rule: 'a batch that is replayed changes nothing',
    run: async (world) => {
      const { deployment } = world;
      await world.untilRemembered(world.token);
      const log = deployment.sources.token;
      const first = log.append('key_created', { keyId: 'key_1', fingerprint: '0' });
      deployment.broadcast('token', [first]);
      await world.untilAcknowledged('token');
      for (let turn = 0; turn < 5; turn++) deployment.broadcast('token', [first]);
      deployment.publish('token', ...world.revokeToken());
      await world.untilAcknowledged('token');
      await world.expect(world.token, 'refused');
    },
  },
  {
    rule: 'a lease that is lost is replaced by one with a new id, and facts are kept',
    run: async (world) => {
      const { registry } = world.deployment;
      await world.untilRemembered(world.token);
      const lost = registry.lastLease ?? '';
      registry.lose(lost);
      await eventually(() => demand(registry.lastLease !== lost, 'no other lease is acquired'));
      await eventually(async () => {
        const { leaseId } = await world.nextRenewal();
        demand(leaseId === registry.lastLease, 'the new lease is not renewed');
      });
      // The guard has the answer of the first by the time of the next one.
      await world.nextRenewal();
      demand(!(await world.fetchesFor(world.token, 'allowed')), 'the facts are gone');
    },
  },
  {
    rule: 'a lease id that is taken is replaced by another',
    run: async (world) => {
      const { registry } = world.deployment;
      registry.taken = 1;
      await world.untilRemembered(world.token);
      const [refused] = registry.requested;
      demand(registry.lastLease !== refused, 'the refused lease is acquired');
      demand((await world.nextRenewal()).leaseId !== refused, 'the refused lease is renewed');
    },
  },
  {
    rule: 'without a registry the read lease ends, and nothing is answered from memory any more',
    run: async (world) => {
      const { registry } = world.deployment;
      await world.untilRemembered(world.token);
      registry.answers = false;
      await eventually(async () => {
        demand(await world.fetchesFor(world.token, 'allowed'), 'memory still answers');
      });
      demand(await world.fetchesFor(world.token, 'allowed'), 'memory answers again');
      world.revokeToken();
      await world.expect(world.token, 'refused');
      registry.answers = true;
    },
  },
  {
    rule: 'a fact that an event ended during its fetch is not remembered',
    run: async (world) => {
      const { deployment } = world;
      const { facts } = deployment;
      await world.untilRemembered(world.access);
      facts.holdsToken = true;
      const early = world.guard.check(world.token);
      await eventually(() => demand(facts.held.length > 0, 'nothing is fetched'));
      const [answerEarly] = facts.held;
      // The held fetch answers with the facts at the time of its arrival.
      deployment.publish('token', ...world.revokeToken());
      await world.untilAcknowledged('token');
      facts.holdsToken = false;
      answerEarly?.();
      await early;
      await world.expect(world.token, 'refused');
    },
  },
  {
    rule: 'a guard releases its lease at shutdown',
    run: async ({ deployment: { registry }, guard }) => {
      await eventually(() => demand(registry.renewals.length > 0, 'no lease is renewed'));
      await guard[Symbol.asyncDispose]();
      await eventually(() => {
        const { released, lastLease } = registry;
        demand(lastLease !== undefined && released.includes(lastLease), 'it is not released');
      });
    },
  },
  {
    rule: 'a guard whose Acquire is not answered releases that lease, too',
    run: async ({ deployment: { registry }, guard }) => {
      registry.answers = false;
      await eventually(() => demand(registry.requested.length > 0, 'no lease is requested'));
      await guard[Symbol.asyncDispose]();
      const { released, requested } = registry;
      await eventually(() => {
        demand(
          requested.every((leaseId) => released.includes(leaseId)),
          'it is not released',
        );
      });
    },
  },
];
