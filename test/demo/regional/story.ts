import { randomBytes } from 'node:crypto';
import { migrationPreviewBlocks, progressLine } from '@silo/cli/render/migrations.ts';
import { textOf, toText } from '@silo/cli/text.ts';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { type Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { eventually } from '../../harness/eventually.ts';
import { createAccount } from '../chapters/sign-up.ts';
import { claim, given, refused } from '../claim.ts';
import type { Narrator } from '../narrator.ts';
import { claimTokenGood, type Person, type Stage, type TokenedProject } from '../stage.ts';
import { Traffic } from './traffic.ts';

/** The stages of both regions, with one narrator. */
export type Stages = { us: Stage; eu: Stage };

/** Ada in us owns the project, and Emil in eu receives it. */
type Cast = { ada: Person; emil: Person; shop: TokenedProject };

const eventsBefore = 5_000;
const eventsAfter = 200;
/** A migration takes longer than a call. */
const inTime = { deadlineMs: 600_000 };

/** The whole story. */
export async function migrateBetweenRegions(stages: Stages): Promise<void> {
  const cast = await beginBusiness(stages);
  const { token } = cast.shop;
  await using traffic = new Traffic(token, stages.us.edge);
  await captureBefore(stages.us, cast, traffic);
  traffic.begin();
  const first = await migrate(stages, cast, 'the migration');
  await passedOn(stages, cast, traffic);
  await takeBack(stages, cast, traffic, first);
  traffic.begin();
  const second = await migrate(stages, cast, 'the second migration');
  await traffic.end();
  await purge(stages, cast, traffic, second);
}

async function beginBusiness({ us, eu }: Stages): Promise<Cast> {
  const { narrator } = us;
  narrator.chapter('Two regions, and somebody in each');
  const ada = await createAccount(us, 'Ada', 'Analytical Engines', suffix());
  const emil = await createAccount(eu, 'Emil', 'Analytical Engines Europe', suffix());
  for (const { name, organization, email, api } of [ada, emil]) {
    await narrator.step(`${name} chooses the plan Scale, which has migrations`, async (step) => {
      const details = { address: '1 Example Street', countryCode: 'GB', taxId: '' };
      const { id, name: companyName } = organization;
      await api.updateBillingDetails(id, { companyName, email, ...details });
      const { plan } = await api.changePlan(id, Plan.PLAN_SCALE);
      claim('the plan', plan, Plan.PLAN_SCALE);
      step.say('any number of projects');
    });
  }
  const shop = await narrator.step('Ada has a web shop, whose visits she counts', async (step) => {
    const { project, token } = await ada.api.createProject(ada.organization.id, 'Web shop');
    narrator.name(project.id, project.name);
    step.say(`its token ${token} is in the shop’s pages, and in apps that nobody can recall`);
    return { id: project.id, name: project.name, token };
  });
  return { ada, emil, shop };
}

async function captureBefore({ narrator, edge }: Stage, { ada, shop }: Cast, traffic: Traffic) {
  narrator.chapter('The shop is busy');
  await narrator.step('Its apps send events to us with posthog-node', async (step) => {
    await traffic.send(eventsBefore);
    claim('what the SDK could not send', traffic.errors, []);
    claim('the events', (await ada.api.eventNames(shop.id)).length, eventsBefore);
    step.say(`new PostHog('${shop.token}', { host: '${edge}' })`);
    step.say(`${eventsBefore} events are stored; from now on one more comes every 10 ms`);
  });
}

/** Migrates from the preview to DONE. */
async function migrate({ us, eu }: Stages, cast: Cast, name: string): Promise<Migration> {
  const { narrator } = us;
  const { ada, emil, shop } = cast;
  const destination = { region: eu.region, organizationId: emil.organization.id };
  narrator.chapter(`${shop.name} goes from us to eu: ${name}`);

  const fingerprint = await narrator.step('Ada sees what would happen', async (step) => {
    const preview = await ada.api.previewMigration(shop.id, destination);
    const blocks = migrationPreviewBlocks(preview, {
      project: shop,
      source: { ...ada.organization, region: us.region },
      destination: { id: emil.organization.id, region: eu.region },
    });
    for (const line of toText(blocks, { colour: false }).trimEnd().split('\n')) step.say(line);
    return preview.planFingerprint;
  });

  const { id } = await narrator.step('She requests it, as previewed', async (step) => {
    const made = await ada.api.requestMigration(shop.id, destination, fingerprint);
    narrator.name(made.id, name);
    claim('the state', made.state, MigrationState.MIGRATION_STATE_REQUESTED);
    step.say('nothing has changed yet: it waits for an admin of the other organization');
    return made;
  });

  await narrator.step('Emil accepts it, in eu', async (step) => {
    const { state } = await emil.api.acceptMigration(id, emil.organization.id);
    claim('the state', state, MigrationState.MIGRATION_STATE_ACCEPTED);
    step.say(`it will take a slot of ${emil.organization.name}`);
  });

  return await narrator.step(
    'Staff of eu starts it; eu copies, compares and takes over',
    async (step) => {
      await eu.wires.migrations.startMigration({ migrationId: id });
      const done = await follow(narrator, eu, id);
      step.say(`captures were held for ${done.progress?.holdMs} ms: answered late, none refused`);
      await claimTokenGood(eu, shop.token, {
        projectId: shop.id,
        organizationId: emil.organization.id,
      });
      step.say(`the same token is good in eu, for ${emil.organization.name}`);
      const refusal = await refused('CROSS_REGION', ada.api.getProject(shop.id));
      step.refusal(refusal);
      return done;
    },
  );
}

/** Prints a line at each change of the state and each fifth of the copy, until it is done. */
async function follow(narrator: Narrator, { wires }: Stage, migrationId: string) {
  let before = '';
  let last: Migration | undefined;
  for await (const { migration } of wires.migrations.watchMigration({ migrationId }, inTime)) {
    last = given(migration, 'migration');
    const { eventsCopied = 0, eventsTotal = 1 } = last.progress ?? {};
    const now = `${last.state} ${Math.floor((5 * eventsCopied) / Math.max(1, eventsTotal))}`;
    const line = progressLine(last).map((span) => textOf(span));
    if (now !== before) narrator.line(`      ${line.join('')}`);
    before = now;
  }
  const ended = given(last, 'migration');
  claim('how it ended', [ended.state, ended.failure], [MigrationState.MIGRATION_STATE_DONE, '']);
  return ended;
}

async function passedOn({ us, eu }: Stages, cast: Cast, traffic: Traffic): Promise<void> {
  const { narrator } = us;
  const { ada, emil, shop } = cast;
  narrator.chapter('The apps have noticed nothing');
  await narrator.step(
    'They go on sending to us, which passes their events on to eu',
    async (step) => {
      await traffic.send(eventsAfter);
      await traffic.end();
      claimOnce(step, traffic, await emil.api.eventNames(shop.id));
    },
  );
  await narrator.step('us reports which apps still send there', async (step) => {
    // The edge records forwarded events every few seconds.
    const passed = await eventually(async () => {
      const uses = await ada.api.deadTokenUses(shop.id);
      const found = uses.filter(({ forwardedRegion }) => forwardedRegion === eu.region);
      if (found.length === 0) throw new Error('us reports nothing that it has passed on');
      return found;
    });
    for (const { library, count } of passed) {
      step.say(`${library}: ${count} calls passed on to ${eu.region}`);
    }
  });
}

async function takeBack(
  { us, eu }: Stages,
  { ada, emil, shop }: Cast,
  traffic: Traffic,
  { id }: Migration,
): Promise<void> {
  const { narrator } = us;
  narrator.chapter('It is taken back, and so are the events that eu has captured');
  traffic.begin();
  await narrator.step('Staff of us takes the migration back', async (step) => {
    const answer = await us.wires.migrations.rollbackMigration({ migrationId: id });
    const back = given(answer.migration, 'migration');
    narrator.name(back.id, 'the rollback');
    const done = await follow(narrator, us, back.id);
    step.say(`captures were held for ${done.progress?.holdMs} ms`);
    await traffic.end();
    claim('the owner', (await ada.api.getProject(shop.id)).organizationId, ada.organization.id);
    claimOnce(step, traffic, await ada.api.eventNames(shop.id));
    step.refusal(await refused('CROSS_REGION', emil.api.getProject(shop.id)));
    await claimTokenGood(us, shop.token, {
      projectId: shop.id,
      organizationId: ada.organization.id,
    });
    step.say(`the token is good in ${us.region} again, and ${eu.region} passes on what it gets`);
  });
}

async function purge({ us }: Stages, { emil, shop }: Cast, traffic: Traffic, { id }: Migration) {
  const { narrator } = us;
  narrator.chapter('It stays in eu, and us forgets its events');
  await narrator.step('All events are in eu, each once', async (step) => {
    claimOnce(step, traffic, await emil.api.eventNames(shop.id));
  });
  await narrator.step('Staff of us compares both copies, and removes its own', async (step) => {
    // The token is refused until us has informed all processes that it has ended there.
    await eventually(() => us.wires.migrations.purgeSource({ migrationId: id }));
    await eventually(async () => {
      const record = (await us.wires.migrations.getMigration({ migrationId: id })).migration;
      if (record?.purgeTime === undefined) throw new Error('us is not purged yet');
    });
    step.say('both were equal; from now on there is no rollback');
    step.refusal(
      await refused('MIGRATION_STATE', us.wires.migrations.rollbackMigration({ migrationId: id })),
    );
  });
}

/** Fails unless each event that was sent is stored once. */
function claimOnce(
  step: { say(line: string): void },
  { names, errors }: Traffic,
  stored: readonly string[],
): void {
  claim('what the SDK could not send', errors, []);
  const found = new Set(stored);
  const lost = names.filter((name) => !found.has(name)).length;
  const doubled = stored.length - found.size;
  claim('events lost and doubled', [lost, doubled], [0, 0]);
  claim('events of nobody', found.size, names.length);
  step.say(`${names.length} events were sent and are stored: ${lost} lost, ${doubled} doubled`);
}

function suffix(): string {
  return randomBytes(4).toString('hex');
}
