/** Runs the invariant checks on correct data, and on data with injected faults. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { natsOptions } from '@silo/events/nats-options.ts';
import { newApiKey } from '@silo/tokens/secrets.ts';
import test, { type ExecutionContext } from 'ava';
import type { Document } from 'mongodb';
import { connect, headers } from 'nats';
import { startTestSilo, type TestSilo } from '../harness/silo.ts';
import { readSnapshot } from '../invariants/snapshot.ts';
import { readStream, type Streamed } from '../invariants/stream.ts';
import { checkInvariants, invariantsHold } from '../invariants.ts';
import { runStory, type Story } from './story.ts';

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

type Breakage = {
  what: string;
  /** `<service>.<collection>` that is spoilt. */
  where: string;
  spoil: (documents: Document[], story: Story) => Document[];
  /** The invariant that must be found broken. */
  found: string;
};

/** Changes the first document that matches. */
function change(
  documents: Document[],
  matches: (document: Document) => boolean,
  values: (document: Document) => Document,
): Document[] {
  const index = documents.findIndex(matches);
  const found = documents[index];
  if (found === undefined) throw new Error('there is nothing to spoil');
  return documents.with(index, { ...found, ...values(found) });
}

/** Leaves the first document out that matches. */
function omit(documents: Document[], matches: (document: Document) => boolean): Document[] {
  const index = documents.findIndex(matches);
  if (index < 0) throw new Error('there is nothing to leave out');
  return documents.toSpliced(index, 1);
}

/** Exchanges the places in the log of the first events of two kinds. */
function exchange(documents: Document[], one: string, other: string): Document[] {
  const first = documents.findIndex(({ event }) => event === one);
  const second = documents.findIndex(({ event }) => event === other);
  const [a, b] = [documents[first], documents[second]];
  if (a === undefined || b === undefined) throw new Error('there is nothing to exchange');
  return documents.with(first, { ...b, _id: a._id }).with(second, { ...a, _id: b._id });
}

/** Repeats the first event of a kind at the end of the log. */
function again(documents: Document[], event: string): Document[] {
  const original = documents.find((each) => each.event === event);
  if (original === undefined) throw new Error('there is no event to repeat');
  return [...documents, { ...original, _id: documents.length + 1, id: 'again' }];
}

const any = () => true;
const withBody = (document: Document, values: Document) => ({
  body: JSON.stringify({ ...JSON.parse(document.body), ...values }),
});

const breakages: Breakage[] = [
  {
    what: 'a project that changed hands without an event',
    where: 'project.projects',
    spoil: (all, { ada, bob }) =>
      change(
        all,
        ({ organizationId }) => organizationId === ada.organization.id,
        () => ({ organizationId: bob.organization.id }),
      ),
    found: 'a project’s owner is the one of its last event',
  },
  {
    what: 'a project without events',
    where: 'project.projects',
    spoil: (all) => [...all, { ...all[0], _id: 'prj_untold' }],
    found: 'a project’s owner is the one of its last event',
  },
  {
    what: 'a change of a project without an event',
    where: 'project.projects',
    spoil: (all) => change(all, any, ({ revision }) => ({ revision: revision + 1 })),
    found: 'every change of a project has an event',
  },
  {
    what: 'a project that came back without an event',
    where: 'project.projects',
    spoil: (all) =>
      change(
        all,
        ({ state }) => state === 2,
        () => ({ state: 1 }),
      ),
    found: 'a project is in the state of its last event',
  },
  {
    what: 'a project that vanished',
    where: 'project.projects',
    spoil: (all) => omit(all, ({ state }) => state === 1),
    found: 'a project that exists is stored',
  },
  {
    what: 'a count that is one too high',
    where: 'project.slots',
    spoil: (all) => change(all, any, ({ count }) => ({ count: count + 1 })),
    found: 'an organization’s count is that of its projects',
  },
  {
    what: 'more projects than the limit',
    where: 'project.slots',
    spoil: (all) =>
      change(
        all,
        ({ count }) => count > 1,
        () => ({ limit: 1 }),
      ),
    found: 'nobody has more than the limit',
  },
  {
    what: 'a limit that is not the plan’s',
    where: 'project.slots',
    spoil: (all) =>
      change(
        all,
        ({ closed }) => !closed,
        () => ({ limit: 77 }),
      ),
    found: 'the limit is that of the plan',
  },
  {
    what: 'an organization without slots',
    where: 'project.slots',
    spoil: (all) => omit(all, ({ closed }) => !closed),
    found: 'every organization has slots',
  },
  {
    what: 'a project in an organization without slots',
    where: 'project.slots',
    spoil: (all) => omit(all, ({ count }) => count > 0),
    found: 'a project’s owner has slots',
  },
  {
    what: 'slots that were closed too early',
    where: 'project.slots',
    spoil: (all) =>
      change(
        all,
        ({ closed }) => !closed,
        () => ({ closed: true }),
      ),
    found: 'slots and subscription end with their organization, and only then',
  },
  {
    what: 'an owner too many at some time in the past',
    where: 'project.events',
    spoil: (all) =>
      change(
        all,
        ({ event }) => event === 'moved',
        (moved) => withBody(moved, { oldOrganizationId: 'org_us_elsewhere' }),
      ),
    found: 'an event has the owner at that time',
  },
  {
    what: 'a quota that was exceeded at some time in the past',
    where: 'project.events',
    spoil: (all) => {
      const raised = all.findLast(
        ({ event, body }) => event === 'slots_changed' && !JSON.parse(body).closed,
      );
      return change(
        all,
        ({ _id }) => _id === raised?._id,
        (each) => withBody(each, { limit: 0 }),
      );
    },
    found: 'nobody has ever had more than the limit',
  },
  {
    what: 'a move that emptied an organization',
    where: 'project.events',
    spoil: (all) => {
      const moved = all.find(({ event }) => event === 'moved');
      const { oldOrganizationId } = JSON.parse(moved?.body);
      // As if its other projects had been made elsewhere.
      return all.map((each) => {
        const body = JSON.parse(each.body);
        const isOther = each.event === 'created' && body.organizationId === oldOrganizationId;
        return isOther && each.subject !== moved?.subject
          ? { ...each, ...withBody(each, { organizationId: 'org_us_elsewhere' }) }
          : each;
      });
    },
    found: 'no move takes an organization’s last project',
  },
  {
    what: 'a move without a record',
    where: 'project.moves',
    spoil: (all) => omit(all, any),
    found: 'a move with an event has a record',
  },
  {
    what: 'a move without an event',
    where: 'project.moves',
    spoil: (all) => [...all, { ...all[0], _id: 'mov_untold' }],
    found: 'every move has its events',
  },
  {
    what: 'a move with an event of one project only',
    where: 'project.moves',
    spoil: (all) => change(all, any, () => ({ projectIds: ['prj_1', 'prj_2'] })),
    found: 'every move has its events',
  },
  {
    what: 'a move that was undone and finalized',
    where: 'project.moves',
    spoil: (all) =>
      change(
        all,
        ({ undoneBy }) => undoneBy,
        () => ({ finalizeTime: new Date() }),
      ),
    found: 'a move ends one way',
  },
  {
    what: 'a move that does not know that it was undone',
    where: 'project.moves',
    spoil: (all) =>
      change(
        all,
        ({ undoneBy }) => undoneBy,
        () => ({ undoneBy: undefined }),
      ),
    found: 'an undo and what it undid name each other',
  },
  {
    what: 'a move that was finalized in silence',
    where: 'project.moves',
    spoil: (all) =>
      change(
        all,
        ({ undoneBy, undoOf, finalizeTime }) => !undoneBy && !undoOf && !finalizeTime,
        () => ({ finalizeTime: new Date() }),
      ),
    found: 'a finalized move has its event',
  },
  {
    what: 'a move that was finalized twice',
    where: 'project.events',
    spoil: (all) => again(all, 'move_finalized'),
    found: 'a move is finalized once',
  },
  {
    what: 'a project that was undeleted twice',
    where: 'project.events',
    spoil: (all) => again(all, 'undeleted'),
    found: 'only what is deleted is undeleted',
  },
  {
    what: 'a project that forgot its latest move',
    where: 'project.projects',
    spoil: (all) =>
      change(
        all,
        ({ moveId }) => moveId,
        () => ({ moveId: undefined }),
      ),
    found: 'a project names its latest move',
  },
  {
    what: 'an organization without a subscription',
    where: 'billing.subscriptions',
    spoil: (all) => omit(all, any),
    found: 'every organization has a subscription',
  },
  {
    what: 'a subscription of nobody',
    where: 'billing.subscriptions',
    spoil: (all) => [...all, { ...all[0], _id: 'org_us_nobody' }],
    found: 'nothing is of an organization that is not there',
  },
  {
    what: 'a plan that changed without an event',
    where: 'billing.subscriptions',
    spoil: (all) => change(all, any, ({ revision }) => ({ revision: revision + 1 })),
    found: 'every change is emitted',
  },
  {
    what: 'an organization without an owner',
    where: 'org.memberships',
    spoil: (all, { bob }) =>
      all.map((each) =>
        each.organizationId === bob.organization.id ? { ...each, level: 1 } : each,
      ),
    found: 'an organization has an owner until it is deleted, and then nobody',
  },
  {
    what: 'an owner who is not counted',
    where: 'org.organizations',
    spoil: (all) => change(all, any, ({ ownerCount }) => ({ ownerCount: ownerCount + 1 })),
    found: 'an organization counts its owners and members',
  },
  {
    what: 'a member who is not counted',
    where: 'org.memberships',
    spoil: (all) => omit(all, any),
    found: 'an organization counts its owners and members',
  },
  {
    what: 'a change of members without an event',
    where: 'org.organizations',
    spoil: (all) =>
      change(all, any, ({ memberRevision }) => ({ memberRevision: memberRevision + 1 })),
    found: 'every change is emitted',
  },
  {
    what: 'an organization that no saga founded',
    where: 'org.sagas',
    spoil: (all) => omit(all, ({ kind }) => kind === 'create-account'),
    found: 'an organization is founded by a saga',
  },
  {
    what: 'a member without an account',
    where: 'org.accounts',
    spoil: (all) => omit(all, any),
    found: 'every member is an account',
  },
  {
    what: 'a project without a token',
    where: 'token.projects',
    spoil: (all, { projectIds }) => omit(all, ({ _id }) => _id === projectIds[0]),
    found: 'every project has a token',
  },
  {
    what: 'a project with two live tokens',
    where: 'token.project_tokens',
    spoil: (all) => [...all, { ...all[0], _id: Buffer.alloc(32) }],
    found: 'a project’s current token alone is live',
  },
  {
    what: 'a token that was replaced without an event',
    where: 'token.projects',
    spoil: (all) =>
      change(all, any, ({ current }) => ({ current: { ...current, fingerprint: '000000000000' } })),
    found: 'a project’s token is the one of its last event',
  },
  {
    what: 'a token of a project that never was',
    where: 'token.projects',
    spoil: (all) => [...all, { _id: 'prj_unknown', revision: 0 }],
    found: 'no token is of a project that never was',
  },
  {
    what: 'an account without its first key',
    where: 'token.api_keys',
    spoil: (all, { ada }) => omit(all, ({ _id }) => _id === ada.apiKeyId),
    found: 'a key is there until its last secret is revoked',
  },
  {
    what: 'a finished saga whose key was never made',
    where: 'token.events',
    spoil: (all, { ada }) =>
      change(
        all,
        ({ subject }) => subject === ada.apiKeyId,
        () => ({ event: 'key_unheard_of' }),
      ),
    found: 'a finished saga has had each of its effects once',
  },
  {
    what: 'a secret without its fact',
    where: 'token.key_secrets',
    spoil: (all) => omit(all, any),
    found: 'a key’s secrets are its facts',
  },
  {
    what: 'a gap in a log',
    where: 'org.events',
    spoil: (all) => omit(all, ({ _id }) => _id === 3),
    found: 'a log has no gap',
  },
  {
    what: 'a counter that ran ahead',
    where: 'billing.log',
    spoil: (all) => change(all, any, ({ sequence }) => ({ sequence: sequence + 1 })),
    found: 'a log ends where its counter stands',
  },
  {
    what: 'an event that is numbered and still waits for its number',
    where: 'project.outbox',
    spoil: (_, { ada }) => [
      {
        _id: { at: new Date(), id: 'again' },
        ...{ time: new Date(), actor: ada.account.id, correlationId: '' },
        events: [{ id: 'twice', event: 'unheard_of', subject: 'x', body: '{}' }].concat({
          id: 'twice',
          event: 'unheard_of',
          subject: 'x',
          body: '{}',
        }),
      },
    ],
    found: 'an event has one place',
  },
  {
    what: 'an effect before its cause',
    where: 'project.events',
    spoil: (all) => {
      const moved = all.find(({ event }) => event === 'moved');
      const created = all.find(
        ({ event, subject }) => event === 'created' && subject === moved?.subject,
      );
      return all.map((each) => {
        if (each._id === moved?._id) return { ...created, _id: each._id };
        return each._id === created?._id ? { ...moved, _id: each._id } : each;
      });
    },
    found: 'causes stand before effects',
  },
  {
    what: 'revisions in the wrong order',
    where: 'billing.events',
    spoil: (all) => exchange(all, 'billing_details_updated', 'plan_changed'),
    found: 'revisions of one thing ascend',
  },
  {
    what: 'a secret in a document',
    where: 'org.accounts',
    spoil: (all) => change(all, any, () => ({ displayName: `my key is ${newApiKey()}` })),
    found: 'no secret is stored or published',
  },
  {
    what: 'a secret in bytes',
    where: 'token.requests',
    spoil: (all) =>
      change(all, any, () => ({ response: Buffer.from(`\u0001${newApiKey()}\u00ff`) })),
    found: 'no secret is stored or published',
  },
  {
    what: 'a project token in an event',
    where: 'token.events',
    spoil: (all, { ada }) =>
      change(all, any, (each) => withBody(each, { token: ada.projectToken })),
    found: 'no project token is published',
  },
  {
    what: 'a request id in a document',
    where: 'org.requests',
    spoil: (all) => change(all, any, () => ({ sagaId: '3f1a3c1e-5b7c-4a51-9d35-0a8f4b6f1c22' })),
    found: 'no request id is stored or published',
  },
  {
    what: 'a project that was created twice',
    where: 'project.events',
    spoil: (all) => again(all, 'created'),
    found: 'a project is created once',
  },
  {
    what: 'a move with its event twice',
    where: 'project.events',
    spoil: (all) => again(all, 'moved'),
    found: 'a move has one event per project',
  },
  {
    what: 'a deletion of what was deleted',
    where: 'project.events',
    spoil: (all) => again(all, 'deleted'),
    found: 'only what exists changes',
  },
  {
    what: 'a deleted organization with a project',
    where: 'project.slots',
    spoil: (all) =>
      change(
        all,
        ({ closed }) => closed,
        () => ({ count: 1 }),
      ),
    found: 'a deleted organization has no project',
  },
  {
    what: 'a secret that was rolled without an event',
    where: 'token.api_keys',
    spoil: (all) =>
      change(all, any, ({ secrets: [secret, ...rest] }) => ({
        secrets: [{ ...secret, fingerprint: '000000000000' }, ...rest],
      })),
    found: 'a key’s secret is that of its last event',
  },
  {
    what: 'a key of no account',
    where: 'token.api_keys',
    spoil: (all) => change(all, any, () => ({ accountId: 'acc_nobody' })),
    found: 'every key is an account’s',
  },
  {
    what: 'a secret that works without a key',
    where: 'token.key_secrets',
    spoil: (all) => [...all, { ...all[0], _id: Buffer.alloc(32), keyId: 'key_gone' }],
    found: 'a secret’s fact ends with its key',
  },
  {
    what: 'a live token of nothing',
    where: 'token.project_tokens',
    spoil: (all) => [...all, { _id: Buffer.alloc(32), projectId: 'prj_unknown' }],
    found: 'a live token is its project’s',
  },
  {
    what: 'an account that no saga founded',
    where: 'org.accounts',
    spoil: (all) => [...all, { ...all[0], _id: 'acc_unfounded' }],
    found: 'an account is founded by a saga',
  },
];

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

type Spoilt = { what: string; spoil: (messages: Streamed[]) => Streamed[]; found: string };

const first = (messages: Streamed[], name: string) =>
  messages.findIndex(({ subject }) => subject.startsWith(name));

const streams: Spoilt[] = [
  {
    what: 'an event that was never published',
    spoil: (messages) => messages.toSpliced(first(messages, 'project.moved'), 1),
    found: 'every event is published',
  },
  {
    what: 'an event that came before one that it follows',
    spoil: (messages) => {
      const index = first(messages, 'org.member_added');
      const [early] = messages.splice(index, 1);
      return early === undefined ? [] : [...messages, early];
    },
    found: 'events come in order when they first come',
  },
  {
    what: 'an event that is published otherwise than it was decided',
    spoil: (messages) =>
      messages.map((each, index) => (index === 2 ? { ...each, body: '{}' } : each)),
    found: 'what is published is what the log has',
  },
  {
    what: 'an event that nobody decided',
    spoil: (messages) => [...messages, { ...(messages[0] as Streamed), id: 'invented' }],
    found: 'what is published is what the log has',
  },
  {
    what: 'a secret in what was published',
    spoil: (messages) =>
      messages.map((each, index) => (index === 2 ? { ...each, body: newApiKey() } : each)),
    found: 'no secret is stored or published',
  },
];

for (const [index, { what, spoil, found }] of streams.entries()) {
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

/** Publishes these messages to a stream of its own. */
async function publish(scratch: TestSilo, messages: readonly Streamed[]): Promise<void> {
  const { natsStream: name, natsSubjectPrefix: prefix } = scratch;
  const connection = await connect(natsOptions({ url: scratch.natsUrl }));
  const manager = await connection.jetstreamManager();
  await manager.streams.add({ name, subjects: [`${prefix}.>`] });
  for (const { subject, id, sequence, body } of messages) {
    const set = headers();
    set.set('ce-id', id);
    set.set('ce-sequence', String(sequence).padStart(20, '0'));
    await connection.jetstream().publish(`${prefix}.${subject}`, body, { headers: set });
  }
  await connection.close();
}

test('every invariant is spoilt by one of these tests', async (t) => {
  const spoilt = new Set([...breakages, ...streams].map(({ found }) => found));
  const directory = join(import.meta.dirname, '..', 'invariants');
  for (const file of await readdir(directory)) {
    const source = await readFile(join(directory, file), 'utf8');
    // Of what expect() is given, only the name is a text of several words.
    for (const [call] of source.matchAll(/\.expect\([\s\S]*?;\n/g)) {
      const [, name = call] = /'([a-z]+ [a-z’, ]+)'/.exec(call) ?? [];
      t.true(spoilt.has(name), `${file}: ${name}`);
    }
  }
});
