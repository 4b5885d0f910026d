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
  return { id, guardName: id, version: 1, acknowledged: at(acknowledged), leaseMs: 1_000 };
};

/** A replica with a hand on its clock and on what its store answers. */
class Bench {
  readonly core = new RegistryCore(settings);
  readonly replies: RegistryReply[] = [];
  readonly asked: { operationId: number; operation: StoreOperation }[] = [];
  nowMs = 100;

  call(call: RegistryCall): void {
    this.#take(this.core.step({ kind: 'call', callId: 1, call }, this.#reading()));
  }

  /** Answers the oldest operation, which must be of that kind. */
  store(kind: StoreOperation['kind'], result: StoreResult): StoreOperation {
    const next = this.asked.shift();
    if (next?.operation.kind !== kind) throw new Error(`${kind} was not asked for`);
    const { operationId, operation } = next;
    this.#take(this.core.step({ kind: 'stored', operationId, result }, this.#reading()));
    return operation;
  }

  acknowledge(leaseId: string, sequence: number): void {
    const positions = at(sequence);
    this.#take(
      this.core.step({ kind: 'acknowledged', leaseId, guardName: 'x', positions }, this.#reading()),
    );
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
      else this.asked.push(action);
    }
  }
}

function barrierOver(leases: StoredLease[]): Bench {
  const bench = new Bench();
  bench.call({ kind: 'awaitBarrier', positions: at(11) });
  bench.store('raiseRequirement', { kind: 'done' });
  bench.store('listLeases', { kind: 'leases', leases });
  return bench;
}

test('a renewal writes the lease before it reads the requirement', (t) => {
  const bench = new Bench();
  bench.call({ kind: 'renew', leaseId: 'l', applied: at(10), acknowledged: at(10) });
  bench.store('renewLease', { kind: 'found', isFound: true });
  bench.store('readRequirement', { kind: 'requirement', required: at(10) });
  t.like(bench.replies, [{ kind: 'renewed', answer: { result: 'granted' } }]);
});

test('a guard that has not reached what is required is told what its view waits for', (t) => {
  const bench = new Bench();
  bench.call({ kind: 'renew', leaseId: 'l', applied: at(10), acknowledged: at(10) });
  bench.store('renewLease', { kind: 'found', isFound: true });
  bench.store('readRequirement', { kind: 'requirement', required: at(11) });
  t.like(bench.replies, [{ kind: 'renewed', answer: { result: 'behind', required: at(11) } }]);
});

test('a later life of a log is past every position of the one before', (t) => {
  const bench = new Bench();
  const applied = { token: { incarnation: 'b', sequence: 1 } };
  bench.call({ kind: 'renew', leaseId: 'l', applied, acknowledged: {} });
  bench.store('renewLease', { kind: 'found', isFound: true });
  bench.store('readRequirement', { kind: 'requirement', required: at(11) });
  t.like(bench.replies, [{ kind: 'renewed', answer: { result: 'granted' } }]);
});

test('a lease that is not there is lost', (t) => {
  const bench = new Bench();
  bench.call({ kind: 'renew', leaseId: 'l', applied: {}, acknowledged: {} });
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

test('a barrier passes a silent guard after a lease, then deletes it unless it was renewed', (t) => {
  const bench = barrierOver([lease('l', 10)]);
  bench.tick(999);
  t.deepEqual(bench.replies, []);
  t.is(bench.asked.shift()?.operation.kind, 'listLeases');
  bench.tick(1);
  t.like(bench.replies, [{ kind: 'passed', report: { guards: 1, acknowledged: 0, expired: 1 } }]);
  t.like(bench.asked, [{ operation: { kind: 'deleteLease', leaseId: 'l', version: 1 } }]);
});

test('a guard that another replica granted a longer lease is waited for, and kept, longer', (t) => {
  const bench = barrierOver([{ ...lease('l', 10), leaseMs: 1_500 }]);
  const listed = bench.asked.length;
  bench.tick(1_499);
  t.deepEqual(bench.replies, []);
  t.false(bench.asked.slice(listed).some(({ operation }) => operation.kind === 'deleteLease'));
  bench.tick(1);
  t.like(bench.replies, [{ kind: 'passed', report: { expired: 1 } }]);
});

test('a barrier learns from the leases what another replica was told', (t) => {
  const bench = barrierOver([lease('l', 10)]);
  bench.tick(100);
  bench.store('listLeases', { kind: 'leases', leases: [lease('l', 11)] });
  t.like(bench.replies, [{ kind: 'passed', report: { acknowledged: 1 } }]);
});

test('a barrier whose requirement or list nobody can confirm fails', (t) => {
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

test('a dead lease is swept, a living one is not', (t) => {
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
  t.like(bench.asked, [{ operation: { kind: 'deleteLease', leaseId: 'dead' } }]);
  t.is(bench.asked.length, 1);
});

test('dangerous numbers are refused', (t) => {
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
