import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { serviceNames } from '@silo/service/config.ts';
import { BSON } from 'mongodb';
import { eventually } from '../harness/eventually.ts';
import { passTime, ttlsOf } from '../harness/pass-time.ts';
import { startTestSilo, type TestSilo } from '../harness/silo.ts';
import { mutations } from './mutations.ts';
import { billingDetails, choosePlan, createOrganization, present, scenarios } from './support.ts';

const test = scenarios();

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** A row of the table in docs/retention.md. */
type Row = { collection: string; kept: string; by: string };

function documentedRows(): Row[] {
  const text = readFileSync(new URL('../../docs/retention.md', import.meta.url), 'utf8');
  const cells = text
    .split('\n')
    .filter((line) => /^\| [a-z]/.test(line) && !line.startsWith('| database'))
    .map((line) => line.split('|').map((cell) => cell.trim()));
  return cells.flatMap(([, databases = '', collection = '', , kept = '', by = '']) =>
    databases.split(', ').map((database) => ({
      collection: `${database}.${collection.replaceAll('`', '')}`,
      ...{ kept, by },
    })),
  );
}

/**
 * The TTL that a row states: `<field> <seconds>`; undefined if something else ends the documents.
 */
function promisedTtl({ kept, by }: Row): string | undefined {
  if (!by.startsWith('TTL')) return undefined;
  const [, count = '0', unit] = /^(?:(\d+) (days|hours?) after|until) `/.exec(kept) ?? [];
  const [, field = ''] = /`([\w.]+)`/.exec(kept) ?? [];
  return `${field} ${Number(count) * (unit === 'days' ? 86_400 : 3_600)}`;
}

const databases = ({ mongo, databasePrefix }: TestSilo) =>
  serviceNames.map((name) => ({ name, db: mongo.db(`${databasePrefix}_${name}`) }));

async function passTimeIn(silo: TestSilo, ms: number): Promise<void> {
  for (const { db } of databases(silo)) await passTime(db, ms);
}

/** The collections in which a text occurs, in any field. */
async function whereIs(silo: TestSilo, text: string): Promise<string[]> {
  const found = new Set<string>();
  for (const { name, db } of databases(silo)) {
    for (const collection of await db.collections()) {
      for await (const document of collection.find()) {
        if (Buffer.from(BSON.serialize(document)).includes(text)) {
          found.add(`${name}.${collection.collectionName}`);
        }
      }
    }
  }
  return [...found].sort();
}

test('docs/retention.md states how every collection ends, and its TTL is that of the index', async (t) => {
  const { silo } = t.context;
  for (const { prepare } of Object.values(mutations))
    await (await prepare(silo)).call(randomUUID());
  const rows = documentedRows();
  // Loops create some collections with their first document.
  const stored = await eventually(async () => {
    const found = new Map<string, string[]>();
    for (const { name, db } of databases(silo)) {
      for (const collection of await db.collections()) {
        const ttls = await ttlsOf(collection);
        const indexes = ttls.map(({ field, seconds }) => `${field} ${seconds}`);
        found.set(`${name}.${collection.collectionName}`, indexes);
      }
    }
    assert.deepEqual(rows.map(({ collection }) => collection).sort(), [...found.keys()].sort());
    return found;
  });
  for (const row of rows) {
    t.not(row.kept, '', row.collection);
    const promised = promisedTtl(row);
    t.deepEqual(stored.get(row.collection), promised ? [promised] : [], row.collection);
  }
});

test('a repeat within 24 hours is still answered; after the retention no e-mail and no token is left except where it belongs', async (t) => {
  await using silo = await startTestSilo(); // the invariants want the sagas
  const startMs = Date.now();
  const email = `${randomUUID()}@example.com`;
  const signUp = {
    ...{ email, displayName: 'Ada', organizationName: 'Analytical' },
    requestId: randomUUID(),
  };
  const created = await silo.as().accounts.createAccount(signUp);
  const api = silo.as(created.apiKey);
  const organizationId = present(created.organization).id;
  await choosePlan(api, organizationId, Plan.PLAN_PAY_AS_YOU_GO);
  const request = {
    ...{ organizationId, name: 'Website', settings: undefined },
    requestId: randomUUID(),
  };
  const website = await api.projects.createProject(request);
  const further = await createOrganization(api);
  const tokens = [created.projectToken, website.projectToken, further.projectToken];
  const { projectToken: regenerated } = await api.projectTokens.regenerateProjectToken({
    ...{ projectId: created.projectId, expectedFingerprint: '', requestId: randomUUID() },
  });
  for (const text of [email, ...tokens]) {
    t.true(
      (await whereIs(silo, text)).some((each) => /sagas$/.test(each)),
      'it was stored',
    );
  }

  // Almost until the first of these is a day old; a minute is left.
  await passTimeIn(silo, startMs - Date.now() + dayMs - hourMs / 60);
  t.deepEqual(await silo.as().accounts.createAccount(signUp), created);
  t.deepEqual(await api.projects.createProject(request), website);

  // Things whose retention counts from their end may end a moment after the call.
  await eventually(async () => {
    await passTimeIn(silo, 26 * hourMs + hourMs / 60);
    assert.deepEqual(await whereIs(silo, email), ['org.accounts']);
    for (const text of [...tokens.slice(1), present(regenerated).token]) {
      assert.deepEqual(await whereIs(silo, text), ['token.projects']);
    }
    assert.deepEqual(await whereIs(silo, created.projectToken), [], 'the token was regenerated');
    assert.deepEqual(await whereIs(silo, billingDetails.email), ['billing.subscriptions']);
  });
  t.pass();
});

test('billing details end with their organization, and after a year nothing that ended is left', async (t) => {
  await using silo = await startTestSilo(); // after a year has passed there is no log for the invariants
  const { api } = await silo.signUp();
  const { organizationId, projectId } = await createOrganization(api);
  const billingEmail = `${randomUUID()}@example.com`;
  await api.billing.updateBillingDetails({
    ...{ organizationId, etag: '', requestId: randomUUID() },
    billingDetails: { ...billingDetails, email: billingEmail },
  });
  await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  await api.organizations.deleteOrganization({
    ...{ organizationId, etag: '', requestId: '', endDeletedProjects: true },
  });
  t.deepEqual(await whereIs(silo, billingEmail), ['billing.requests'], 'for repeats');
  const where = await whereIs(silo, organizationId);
  for (const each of ['org.organizations', 'project.slots', 'billing.subscriptions']) {
    t.true(where.includes(each), each);
  }
  await passTimeIn(silo, 26 * hourMs);
  t.deepEqual(await whereIs(silo, billingEmail), []);
  // An entry of the activity log may be written after the first pass of time.
  await eventually(async () => {
    await passTimeIn(silo, 366 * dayMs);
    const left = await whereIs(silo, organizationId);
    // The deleted project is left to the purge loop, which has its own tests.
    if (left.join() !== 'project.projects') throw new Error(`${left} are left`);
  });
  t.pass();
});
