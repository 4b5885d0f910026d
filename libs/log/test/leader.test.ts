import { indexMigration } from '@silo/mongo/indexes.ts';
import { prepare, testDatabase } from '@silo/mongo/test/support.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import test, { type ExecutionContext } from 'ava';
import type { Db } from 'mongodb';
import { eventually } from '../../../test/harness/eventually.ts';
import { type Leadership, lead } from '../leader.ts';

const briefTiming = { leaseMs: 600, renewMs: 100, marginMs: 100 };
class Candidate {
  readonly terms: Leadership[] = [];
  readonly #stop = new AbortController();
  readonly #led: Promise<void>;

  constructor(t: ExecutionContext, db: Db, owner: string, timing = briefTiming) {
    t.teardown(() => this.stop());
    const { signal } = this.#stop;
    const options = { db, name: 'relay', owner, signal, log: silentLogger(), timing };
    this.#led = lead(options, async (term) => {
      this.terms.push(term);
      const over = Promise.withResolvers<void>();
      term.signal.addEventListener('abort', () => over.resolve(), { once: true });
      // A term may begin at the moment in which the candidate is stopped.
      if (!term.signal.aborted) await over.promise;
    });
  }

  get leads(): boolean {
    return this.terms.at(-1)?.signal.aborted === false;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#led;
  }
}

function assertLeads(candidate: Candidate | undefined): asserts candidate is Candidate {
  if (!candidate?.leads) throw new Error('no candidate leads yet');
}

test('one of many candidates leads, and when it stops another one takes over at once with a higher fence', async (t) => {
  const { db } = await (await testDatabase(t)).connect();
  await prepare(db, [indexMigration('indexes', { leases: [] })]);
  const candidates = ['a', 'b', 'c'].map((owner) => new Candidate(t, db, owner));
  const first = await eventually(() => {
    const leader = candidates.find(({ leads }) => leads);
    assertLeads(leader);
    return leader;
  });
  t.is(candidates.filter(({ leads }) => leads).length, 1);
  const fence = first.terms.at(-1)?.fence ?? 0;
  await first.stop();
  t.false(first.leads);
  const second = await eventually(() => {
    const leader = candidates.find(({ leads }) => leads);
    assertLeads(leader);
    return leader;
  });
  t.not(second, first);
  t.true((second.terms.at(-1)?.fence ?? 0) > fence);
  await Promise.all(candidates.map((candidate) => candidate.stop()));
});

test('a leader keeps its lease by renewing it, and stops when another process has acquired it', async (t) => {
  const { db } = await (await testDatabase(t)).connect();
  await prepare(db, [indexMigration('indexes', { leases: [] })]);
  const timing = { leaseMs: 60_000, renewMs: 20, marginMs: 100 };
  const leader = new Candidate(t, db, 'a', timing);
  await eventually(() => assertLeads(leader));
  const leases = db.collection<{ _id: string; until: Date }>('leases');
  // Two leases pass, in steps that the leader renews between: a pause of this machine ends none.
  for (let passedMs = 0; passedMs < 2 * timing.leaseMs; passedMs += 40_000) {
    const passed = await leases.findOneAndUpdate(
      { _id: 'relay' },
      [{ $set: { until: { $subtract: ['$until', 40_000] } } }],
      { returnDocument: 'after' },
    );
    const before = passed?.until ?? new Date(0);
    await eventually(async () => {
      const lease = await leases.findOne({ _id: 'relay' });
      if ((lease?.until ?? before) <= before) throw new Error('it is not renewed yet');
    });
  }
  t.is(leader.terms.length, 1);
  const taken = new Date(Date.now() + 60_000);
  await leases.updateOne(
    { _id: 'relay' },
    { $set: { owner: 'other', until: taken }, $inc: { fence: 1 } },
  );
  await eventually(() => {
    if (leader.leads) throw new Error('leads still');
  });
  await leader.stop();
  t.like(await leases.findOne({ _id: 'relay' }), { owner: 'other', until: taken });
});
