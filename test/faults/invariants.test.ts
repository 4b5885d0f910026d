/** Runs the invariant checks on correct data, and on data with injected faults. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { headers } from 'nats';
import { connectToNats, jetStreamOf, managerOf } from '../harness/patient-nats.ts';
import { startTestSilo, type TestSilo } from '../harness/silo.ts';
import { readSnapshot } from '../invariants/snapshot.ts';
import { readStream, type Streamed } from '../invariants/stream.ts';
import { checkInvariants, invariantsHold } from '../invariants.ts';
import { breakages } from './breakages.ts';
import { runStory, type Story } from './story.ts';
import { streamBreakages } from './stream-breakages.ts';

let silo: TestSilo;
let story: Story;
/** A copy of the silo's databases, which no service touches. */
let copy: TestSilo;

test.before(async () => {
  silo = await startTestSilo();
  story = await runStory(silo);
  copy = { ...silo, databasePrefix: `${silo.databasePrefix}_copy` };
});
test.after.always(async () => {
  for (const name of ['org', 'project', 'token', 'billing']) {
    await silo?.mongo.db(`${copy.databasePrefix}_${name}`).dropDatabase();
  }
  await silo?.[Symbol.asyncDispose]();
});

test.serial('all invariants hold after every kind of change', async (t) => {
  await invariantsHold(t, silo);
  const { logs } = await readSnapshot(silo);
  for (const [service, { collections }] of Object.entries(logs)) {
    const target = silo.mongo.db(`${copy.databasePrefix}_${service}`);
    for (const [name, documents] of collections) {
      if (documents.length > 0) await target.collection(name).insertMany(documents);
    }
  }
  t.deepEqual(await checkInvariants(copy), []);
});

for (const { what, where, spoil, found } of breakages) {
  test.serial(`${what} is found`, async (t) => {
    const [service, name = ''] = where.split('.');
    const collection = copy.mongo.db(`${copy.databasePrefix}_${service}`).collection(name);
    const whole = await collection.find({}, { promoteBuffers: true }).sort({ _id: 1 }).toArray();
    await collection.deleteMany({});
    try {
      const spoilt = spoil(whole, story);
      if (spoilt.length > 0) await collection.insertMany(spoilt as typeof whole);
      await expectFound(t, copy, found);
    } finally {
      await collection.deleteMany({});
      if (whole.length > 0) await collection.insertMany(whole);
    }
  });
}

async function expectFound(t: ExecutionContext, deployment: TestSilo, found: string) {
  const violations = await checkInvariants(deployment);
  const names = new Set(violations.map(({ invariant }) => invariant));
  t.true(names.has(found), JSON.stringify(violations, undefined, 2));
}

for (const [index, { what, spoil, found }] of streamBreakages.entries()) {
  test.serial(`${what} is found`, async (t) => {
    const scratch = {
      ...copy,
      natsStream: `SPOILT_${index}`,
      natsSubjectPrefix: `spoilt${index}.v1`,
    };
    await publish(scratch, spoil(await readStream(silo)));
    await expectFound(t, scratch, found);
  });
}

/** Publishes these messages to a separate stream. */
async function publish(scratch: TestSilo, messages: readonly Streamed[]): Promise<void> {
  const { natsStream: name, natsSubjectPrefix: prefix } = scratch;
  const connection = await connectToNats({ url: scratch.natsUrl });
  const manager = await managerOf(connection);
  await manager.streams.add({ name, subjects: [`${prefix}.>`] });
  for (const { subject, id, sequence, body } of messages) {
    const set = headers();
    set.set('ce-id', id);
    set.set('ce-sequence', String(sequence).padStart(20, '0'));
    await jetStreamOf(connection).publish(`${prefix}.${subject}`, body, { headers: set });
  }
  await connection.close();
}

test('these tests violate every invariant', async (t) => {
  const spoilt = new Set([...breakages, ...streamBreakages].map(({ found }) => found));
  const directory = join(import.meta.dirname, '..', 'invariants');
  for (const file of await readdir(directory)) {
    const source = await readFile(join(directory, file), 'utf8');
    // In the arguments of expect(), only the name is a text of several words.
    for (const [call] of source.matchAll(/\.expect\([\s\S]*?;\n/g)) {
      const [, name = call] = /'([a-z]+ [a-z’, ]+)'/.exec(call) ?? [];
      t.true(spoilt.has(name), `${file}: ${name}`);
    }
  }
});
