import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { secretLength } from '@silo/tokens/secrets.ts';
import type { FactName, FactRef, FactValues } from '../core/facts.ts';
import { GuardCore } from '../core/guard-core.ts';
import type { AccessCheck } from '../core/lookup.ts';
import type { GuardAction, GuardInput } from '../core/messages.ts';
import type { Positions } from '../core/position.ts';
import type { GuardSettings, LeaseNumbers } from '../core/settings.ts';

export const numbers: LeaseNumbers = { leaseMs: 1_000, renewMs: 300, driftShare: 0.01 };

export const guardSettings: GuardSettings = {
  guardName: 'edge',
  factsMax: 10,
  unknownMax: 10,
  fetchesMax: 10,
  permitMs: 500,
  requestMs: 100,
  retryMs: 50,
  newLeaseId: () => 'lease',
};

/** Has the length of a real token, so that it is answered from the same table. */
export const token = 'phc_1'.padEnd(secretLength, 'x');

export const tokenCheck: AccessCheck = { kind: 'token', token, fingerprint: 'aaaaaaaaaaaa' };

const values: Partial<Record<string, FactValues['token'] | FactValues['project']>> = {
  [token]: { projectId: 'prj_1' },
  prj_1: {
    organizationId: 'org_1',
    state: ProjectState.PROJECT_STATE_ACTIVE,
    capture: undefined,
    migratedTo: undefined,
  },
};

/** A guard core with controlled clocks, and owners that respond when the test lets them. */
export class Bench {
  readonly core: GuardCore;
  readonly now = { monotonicMs: 5_000, wallMs: 1_000_000 };
  sent: GuardAction[] = [];
  #lookupId = 0;

  constructor(settings: Partial<GuardSettings> = {}) {
    this.core = new GuardCore({ ...guardSettings, ...settings });
  }

  step(input: GuardInput): GuardAction[] {
    const actions = this.core.step(input, this.now);
    this.sent.push(...actions);
    return actions;
  }

  pass(durationMs: number): void {
    this.now.monotonicMs += durationMs;
    this.now.wallMs += durationMs;
  }

  last<Kind extends GuardAction['kind']>(kind: Kind): Extract<GuardAction, { kind: Kind }> {
    const action = this.sent.findLast((sent) => sent.kind === kind);
    if (action === undefined) throw new Error(`no ${kind} was sent`);
    return action as Extract<GuardAction, { kind: Kind }>;
  }

  /** Starts, reads all heads at sequence 10, and gets a read lease that counts from now. */
  startWithReadLease(): void {
    this.step({ kind: 'start' });
    for (const read of this.sent.filter((action) => action.kind === 'readEvents')) {
      const { requestId, source } = read;
      const head = { incarnation: 'a', sequence: 10 };
      this.step({
        kind: 'read',
        requestId,
        source,
        page: { events: [], head, isCompacted: false },
      });
    }
    this.step({ kind: 'acquired', requestId: this.last('acquire').requestId, reply: { numbers } });
    this.grant();
  }

  grant(): void {
    const { requestId } = this.last('renew');
    this.step({ kind: 'renewed', requestId, reply: { result: 'granted', numbers } });
  }

  behind(required: Positions): void {
    const { requestId } = this.last('renew');
    this.step({ kind: 'renewed', requestId, reply: { result: 'behind', required, numbers } });
  }

  lookup(wantsPermit = false): GuardAction[] {
    return this.step({
      kind: 'lookup',
      lookupId: ++this.#lookupId,
      check: tokenCheck,
      wantsPermit,
    });
  }

  /** Responds to fact fetches until there are none. */
  fill(actions: GuardAction[]): GuardAction[] {
    const after: GuardAction[] = [];
    const waiting = [...actions];
    for (let action = waiting.shift(); action !== undefined; action = waiting.shift()) {
      after.push(action);
      if (action.kind === 'fetchFact') waiting.push(...this.fetched(action.fetchId, action.ref));
    }
    return after;
  }

  fetched(fetchId: number, ref: FactRef): GuardAction[] {
    return this.step({ kind: 'factFetched', fetchId, reply: { value: values[ref.id] } });
  }

  tokenRevoked(sequence: number): GuardAction[] {
    return this.ended(sequence, { kind: 'token', name: 'aaaaaaaaaaaa' });
  }

  /** Applies an event of the token service that ends a fact. */
  ended(sequence: number, fact: FactName): GuardAction[] {
    const ends = [fact];
    return this.step({
      kind: 'batch',
      source: 'token',
      head: { incarnation: 'a', sequence },
      events: [{ sequence, ends }],
    });
  }

  get remembers(): boolean {
    return this.core.verifyToken(token, this.now) !== undefined;
  }
}

export function kindsOf(actions: GuardAction[]): string[] {
  return actions.map(({ kind }) => kind);
}
