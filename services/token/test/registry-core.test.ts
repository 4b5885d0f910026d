import type { Positions } from '@silo/guard/core/position.ts';
import test from 'ava';
import type {
  RegistryAction,
  RegistryCall,
  RegistryReply,
  StoredLease,
  StoreOperation,
  StoreResult,
} from '../registry/messages.ts';
import { RegistryCore } from '../registry/registry-core.ts';

const settings = { leaseMs: 1_000, renewMs: 300, driftShare: 0.01, relistMs: 100, sweepMs: 400 };
const at = (sequence: number) => ({ token: { incarnation: 'a', sequence } });
const lease = (id: string, acknowledged: number): StoredLease => {
  return {
    id,
    owner: 'guard/edge',
    guardName: id,
    version: 1,
    acknowledged: at(acknowledged),
    leaseMs: 1_000,
  };
};

/** A replica whose clock and store the test controls. */
class Bench {
  readonly core = new RegistryCore(settings);
  readonly replies: RegistryReply[] = [];
  readonly operations: { operationId: number; operation: StoreOperation }[] = [];
  readonly disbelieved: string[] = [];
  nowMs = 100;

  /** By default the source's log ends at 20. */
  constructor(committed: Positions = at(20)) {
    this.commit(committed);
  }

  commit(positions: Positions): void {
    this.#take(this.core.step({ kind: 'committed', positions }, this.#reading()));
  }

  call(call: RegistryCall): void {
    this.#take(this.core.step({ kind: 'call', callId: 1, call }, this.#reading()));
  }

  /** Responds to the oldest operation, which must be of this kind. */
  store(kind: StoreOperation['kind'], result: StoreResult): StoreOperation {
    const next = this.operations.shift();
    if (next?.operation.kind !== kind) throw new Error(`${kind} was not requested`);
    const { operationId, operation } = next;
    this.#take(this.core.step({ kind: 'stored', operationId, result }, this.#reading()));
    return operation;
  }

  acknowledge(leaseId: string, sequence: number, applied = sequence): void {
    const message = { leaseId, guardName: 'x', positions: at(sequence), applied: at(applied) };
    this.#take(this.core.step({ kind: 'acknowledged', ...message }, this.#reading()));
  }

  tick(afterMs: number): void {
    this.nowMs += afterMs;
    this.#take(this.core.step({ kind: 'tick' }, this.#reading()));
  }

  #reading() {
    return { monotonicMs: this.nowMs, wallMs: 0 };
  }

  #take(actions: RegistryAction[]): void {
    for (const action of actions) {
      if (action.kind === 'reply') this.replies.push(action.reply);
      else if (action.kind === 'claimRejected') this.disbelieved.push(action.why);
      else this.operations.push(action);
    }
  }
}

function barrierOver(leases: StoredLease[], committed?: Positions): Bench {
  return awaitBarrier(new Bench(committed), leases);
}

/** A barrier at position 11 with these leases. */
function awaitBarrier(bench: Bench, leases: StoredLease[]): Bench {
  bench.call({ kind: 'awaitBarrier', positions: at(11) });
  bench.store('raiseRequirement', { kind: 'done' });
  bench.store('listLeases', { kind: 'leases', leases });
  return bench;
}

test('a renewal writes the lease before it reads the requirement', (t) => {
  const bench = new Bench();
  bench.call({
    kind: 'renew',
    leaseId: 'l',
    owner: 'guard/edge',
    applied: at(10),
    acknowledged: at(10),
  });
  bench.store('renewLease', { kind: 'found', isFound: true });
  bench.store('readRequirement', { kind: 'requirement', required: at(10) });
  t.like(bench.replies, [{ kind: 'renewed', answer: { result: 'granted' } }]);
});

test('a guard below the requirement gets the positions that its read lease requires', (t) => {
  const bench = new Bench();
  bench.call({
    kind: 'renew',
    leaseId: 'l',
    owner: 'guard/edge',
    applied: at(10),
    acknowledged: at(10),
  });
  bench.store('renewLease', { kind: 'found', isFound: true });
  bench.store('readRequirement', { kind: 'requirement', required: at(11) });
  t.like(bench.replies, [{ kind: 'renewed', answer: { result: 'behind', required: at(11) } }]);
});

test('a later incarnation of a log is past every position of the earlier one', (t) => {
  const bench = new Bench();
  const applied = { token: { incarnation: 'b', sequence: 1 } };
  bench.commit(applied);
  bench.call({ kind: 'renew', leaseId: 'l', owner: 'guard/edge', applied, acknowledged: {} });
  bench.store('renewLease', { kind: 'found', isFound: true });
  bench.store('readRequirement', { kind: 'requirement', required: at(11) });
  t.like(bench.replies, [{ kind: 'renewed', answer: { result: 'granted' } }]);
});

test('the renewal of a lease that does not exist returns lost', (t) => {
  const bench = new Bench();
  bench.call({ kind: 'renew', leaseId: 'l', owner: 'guard/edge', applied: {}, acknowledged: {} });
  bench.store('renewLease', { kind: 'found', isFound: false });
  t.deepEqual(bench.replies, [{ kind: 'renewed', answer: { result: 'lost' } }]);
});

test('a barrier without guards passes as soon as the requirement is durable', (t) => {
  const bench = barrierOver([]);
  t.like(bench.replies, [{ kind: 'passed', report: { guards: 0, expired: 0 } }]);
});

test('a barrier passes with the last acknowledgement', (t) => {
  const bench = barrierOver([lease('l', 10), lease('m', 11)]);
  t.deepEqual(bench.replies, []);
  bench.acknowledge('another', 11);
  t.deepEqual(bench.replies, []);
  bench.acknowledge('l', 11);
  t.like(bench.replies, [{ kind: 'passed', report: { guards: 2, acknowledged: 2, expired: 0 } }]);
});

test('a barrier passes a silent guard after L, then the lease is deleted unless it was renewed', (t) => {
  const bench = barrierOver([lease('l', 10)]);
  bench.tick(999);
  t.deepEqual(bench.replies, []);
  t.is(bench.operations.shift()?.operation.kind, 'listLeases');
  bench.tick(1);
  t.like(bench.replies, [{ kind: 'passed', report: { guards: 1, acknowledged: 0, expired: 1 } }]);
  t.like(bench.operations, [{ operation: { kind: 'deleteLease', leaseId: 'l', version: 1 } }]);
});

test('a barrier waits longer for a guard with a longer lease from another replica', (t) => {
  const bench = barrierOver([{ ...lease('l', 10), leaseMs: 1_500 }]);
  const listed = bench.operations.length;
  bench.tick(1_499);
  t.deepEqual(bench.replies, []);
  t.false(bench.operations.slice(listed).some(({ operation }) => operation.kind === 'deleteLease'));
  bench.tick(1);
  t.like(bench.replies, [{ kind: 'passed', report: { expired: 1 } }]);
});

test('a barrier finds acknowledgements that another replica received in the leases', (t) => {
  const bench = barrierOver([lease('l', 10)]);
  bench.tick(100);
  bench.store('listLeases', { kind: 'leases', leases: [lease('l', 11)] });
  t.like(bench.replies, [{ kind: 'passed', report: { acknowledged: 1 } }]);
});

test('a barrier fails if its requirement or its list cannot be confirmed', (t) => {
  const unraised = new Bench();
  unraised.call({ kind: 'awaitBarrier', positions: at(11) });
  unraised.store('raiseRequirement', { kind: 'failed' });
  t.deepEqual(unraised.replies, [{ kind: 'failed' }]);

  const unlisted = new Bench();
  unlisted.call({ kind: 'awaitBarrier', positions: at(11) });
  unlisted.store('raiseRequirement', { kind: 'done' });
  unlisted.store('listLeases', { kind: 'failed' });
  t.deepEqual(unlisted.replies, [{ kind: 'failed' }]);
});

test('a dead lease is deleted, and a live one is not', (t) => {
  const bench = new Bench();
  const list = (version: number) => {
    const leases = [lease('dead', 1), { ...lease('living', 1), version }];
    bench.store('listLeases', { kind: 'leases', leases });
  };
  bench.tick(0);
  list(1);
  for (const version of [2, 3]) {
    bench.tick(400);
    list(version);
  }
  bench.tick(200);
  t.like(bench.operations, [{ operation: { kind: 'deleteLease', leaseId: 'dead' } }]);
  t.is(bench.operations.length, 1);
});

/**
 * A renewal of a guard with these claims. Returns the acknowledgements that were written, and the
 * reply.
 */
function renewal(bench: Bench, applied: Positions, acknowledged: Positions, head?: Positions) {
  bench.call({ kind: 'renew', leaseId: 'l', owner: 'guard/edge', applied, acknowledged });
  const position = head?.token;
  if (position !== undefined) bench.store('readHead', { kind: 'head', head: position });
  const written = bench.store('renewLease', { kind: 'found', isFound: true });
  bench.store('readRequirement', { kind: 'requirement', required: at(11) });
  const reply = bench.replies.at(-1);
  return {
    acknowledged: written.kind === 'renewLease' ? written.acknowledged : undefined,
    result: reply?.kind === 'renewed' ? reply.answer.result : undefined,
  };
}

test('a position beyond what the source has committed is not accepted', (t) => {
  const bench = new Bench(at(20));
  const claimed = renewal(bench, at(1_000_020), at(1_000_020), at(21));
  t.deepEqual(claimed, { acknowledged: {}, result: 'behind' });
  t.deepEqual(bench.disbelieved, ['beyond_log']);
});

test('a position of another incarnation is not accepted, earlier or later', (t) => {
  for (const incarnation of ['A', 'b']) {
    const bench = new Bench(at(20));
    const other = { token: { incarnation, sequence: 12 } };
    t.deepEqual(renewal(bench, other, other, at(20)), { acknowledged: {}, result: 'behind' });
  }
});

test('a source is queried only if a position exceeds the known part of its log', (t) => {
  const bench = new Bench(at(20));
  t.deepEqual(renewal(bench, at(20), at(20)), { acknowledged: at(20), result: 'granted' });
  const renewed = renewal(bench, at(21), at(21), at(22));
  t.deepEqual(renewed, { acknowledged: at(21), result: 'granted' });
  t.deepEqual(renewal(bench, at(22), at(22)), { acknowledged: at(22), result: 'granted' });
  const restored = { token: { incarnation: 'b', sequence: 1 } };
  const after = renewal(bench, restored, restored, restored);
  t.deepEqual(after, { acknowledged: restored, result: 'granted' });
  t.deepEqual(bench.disbelieved, []);
});

test('if the source does not respond, the renewal continues without the claim', (t) => {
  const bench = new Bench(at(20));
  const claims = { applied: at(21), acknowledged: at(21) };
  bench.call({ kind: 'renew', leaseId: 'l', owner: 'guard/edge', ...claims });
  bench.store('readHead', { kind: 'failed' });
  t.like(bench.store('renewLease', { kind: 'found', isFound: true }), { acknowledged: {} });
  bench.store('readRequirement', { kind: 'requirement', required: at(11) });
  t.like(bench.replies, [{ kind: 'renewed', answer: { result: 'behind', required: at(11) } }]);
});

test('an acknowledgement beyond the applied position is not accepted, by renewal or by message', (t) => {
  const bench = new Bench(at(20));
  t.deepEqual(renewal(bench, at(11), at(12)), { acknowledged: {}, result: 'granted' });
  const waiting = barrierOver([lease('l', 10)]);
  waiting.acknowledge('l', 11, 10);
  t.deepEqual(waiting.replies, []);
  t.deepEqual([bench.disbelieved, waiting.disbelieved], [['beyond_applied'], ['beyond_applied']]);
  waiting.acknowledge('l', 11, 11);
  t.like(waiting.replies, [{ kind: 'passed' }]);
});

test('an acknowledgement beyond the log counts as soon as the source has committed as much', (t) => {
  const bench = barrierOver([lease('l', 10)], at(10));
  bench.acknowledge('l', 12);
  t.deepEqual(bench.replies, []);
  bench.commit(at(12));
  t.like(bench.replies, [{ kind: 'passed', report: { acknowledged: 1 } }]);
});

test('an older acknowledgement that arrives later does not hide a newer one', (t) => {
  const bench = new Bench(at(9));
  bench.acknowledge('l', 11);
  bench.acknowledge('l', 10);
  awaitBarrier(bench, [lease('l', 9)]);
  t.like(bench.replies, [{ kind: 'passed', report: { acknowledged: 1 } }]);
});

test('a claim beyond the log does not hide a later valid acknowledgement', (t) => {
  const bench = barrierOver([lease('l', 10)]);
  bench.acknowledge('l', 1_000_011);
  t.deepEqual(bench.replies, []);
  bench.acknowledge('l', 11);
  t.like(bench.replies, [{ kind: 'passed', report: { acknowledged: 1 } }]);
});

test('a lease id that is released or of another certificate is refused', (t) => {
  const bench = new Bench();
  bench.call({ kind: 'acquire', leaseId: 'l', owner: 'guard/edge', guardName: 'x' });
  bench.store('insertLease', { kind: 'found', isFound: false });
  t.deepEqual(bench.replies, [{ kind: 'taken' }]);
});

test('dangerous settings are refused', (t) => {
  const dangerous = [
    { renewMs: 600 },
    { driftShare: 0 },
    { leaseMs: 0 },
    { relistMs: 2_000 },
    { sweepMs: 900 },
  ];
  for (const numbers of dangerous) {
    t.throws(() => new RegistryCore({ ...settings, ...numbers }), { instanceOf: RangeError });
  }
});
