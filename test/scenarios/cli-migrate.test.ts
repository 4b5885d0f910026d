import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { certificate, certificates } from '../harness/certificates.ts';
import { type CliHome, openCliHome } from '../harness/cli.ts';
import { eventually } from '../harness/eventually.ts';
import {
  type RegionalSilo,
  startTestRegions,
  storedEvents,
  type TestRegions,
} from '../harness/regions.ts';
import { keys } from '../harness/terminal.ts';
import { event } from './event-requests.ts';
import { type Migrant, newMigrant } from './migration-support.ts';

const test = anyTest.serial as TestFn<{ regions: TestRegions }>['serial'];

test.before(async (t) => {
  t.context = { regions: await startTestRegions() };
});
test.after.always((t) => t.context.regions?.[Symbol.asyncDispose]());

/** A user with a profile in each region, and the files with which staff calls both. */
type Operator = Migrant & { cli: CliHome; endpoints: { us: string; eu: string } };

async function operator(t: ExecutionContext<{ regions: TestRegions }>): Promise<Operator> {
  const { us, eu } = t.context.regions;
  const migrant = await newMigrant({ from: us, to: eu });
  const cli = await openCliHome(us.addresses);
  t.teardown(() => cli[Symbol.asyncDispose]());
  const endpoints = { us: await endpointsOf(cli, us), eu: await endpointsOf(cli, eu) };
  const login = (profile: 'us' | 'eu', apiKey: string) =>
    cli.json(['login', '--endpoints', endpoints[profile], '--profile', profile], apiKey);
  await login('eu', migrant.destination.apiKey);
  await login('us', migrant.source.apiKey);
  await cli.run(['profiles', 'use', 'us']);
  const events = Array.from({ length: 700 }, () => event());
  const { projectToken } = migrant;
  await us.as(projectToken).events.captureEvents({ events, superProperties: '' });
  return { ...migrant, cli, endpoints };
}

async function endpointsOf({ directory }: CliHome, silo: RegionalSilo): Promise<string> {
  const { region, addresses: services } = silo;
  const { ca, cert, key } = certificate('staff-operator', certificates(region));
  const file = join(directory, `${region}.json`);
  await writeFile(file, JSON.stringify({ region, ca, staff: { cert, key }, services }));
  return file;
}

const idPattern = /mig_us_[0-9a-z]{26}/;

test('a migration by commands shows people names rather than ids, and each command prints the next step', async (t) => {
  const { cli, projectId, from, to, endpoints, source, destination } = await operator(t);
  const there = destination.organization.name;
  const asked = ['migrate', 'preview', 'Web', '--to', there];
  const preview = await cli.run(asked);
  t.is(preview.code, 0, preview.errors);
  t.regex(
    preview.output,
    /^Migrate Web from Ada’s organization \(us\) to Ada there’s organization/,
  );
  t.regex(preview.output, /about 700 events/);
  t.regex(preview.output, /Ada +owner +loses access/);
  t.notRegex(preview.output, /(org|prj|acc)_/);

  const requesting = cli.inTerminal(['migrate', 'request', 'Web', '--to', there]);
  await requesting.sees('Type the project’s name to confirm:');
  requesting.type(`Web${keys.enter}`);
  t.is(await requesting.ended, 0, requesting.screen());
  t.regex(requesting.screen(), /Requested: Web, to eu\./);
  const screen = requesting.screen().replaceAll('\n', '');
  const [, accept = ''] =
    /accepts it in eu: silo (migrate accept mig_\w+ --org \w+ --profile eu)/.exec(screen) ?? [];
  const byName = await cli.run(['migrate', 'accept', 'Web', '--profile', 'eu']);
  t.is(byName.code, 2, byName.errors);
  t.regex(byName.errors, /"Web" is not the id of a migration/);
  const accepting = await cli.run(accept.split(' '));
  t.is(accepting.code, 0, accepting.errors);
  t.regex(accepting.output, /^Accepted: Web, from us, into Ada there’s organization\.\n/);
  const [id = ''] = idPattern.exec(accepting.output) ?? [];

  const staff = ['--endpoints', endpoints.eu];
  const early = await cli.run(['migrate', 'rollback', id, '--yes', '--endpoints', endpoints.us]);
  t.is(early.code, 3, early.errors);
  const wrong = await cli.run(['migrate', 'start', 'Web', '--endpoints', endpoints.us]);
  t.is(wrong.code, 3, wrong.errors);
  t.regex(wrong.errors, /eu/);
  t.is((await cli.run(['migrate', 'rate', 'Web', '64MiB', ...staff])).code, 0);
  const starting = await cli.run(['migrate', 'start', 'Web', ...staff]);
  t.is(starting.code, 0, starting.errors);
  t.regex(starting.output, /^Started: Web, us → eu\.\nFollow it: silo migrate watch mig_/);
  t.true(starting.output.endsWith(` --staff --endpoints ${endpoints.eu}\n`), starting.output);

  const watching = await cli.run(['migrate', 'watch', 'Web']);
  t.is(watching.code, 0, watching.errors);
  t.regex(watching.output, /^Web {2}done {2}█+ 100 % · 700 of 700 events .*held \d+ ms$/m);
  t.regex(watching.errors, /Staff of us can take it back: silo migrate rollback/);
  const lines = await cli.run(['migrate', 'watch', id, '--staff', ...staff, '--json']);
  const last = JSON.parse(lines.output.trimEnd().split('\n').at(-1) ?? '');
  t.like(last, { id, state: 'MIGRATION_STATE_DONE' });
  t.is((await storedEvents(to, projectId)).size, 700);

  const list = await cli.run(['migrate']);
  t.regex(list.output, /Web +Ada’s organization \(us\) +Ada there’s organization \(eu\) +done/);
  const shown = await cli.run(['migrate', 'show', id]);
  t.regex(shown.output, /^requested +.* UTC by Ada \(/m);
  t.regex(shown.output, /^captures held +\d+ ms$/m);
  t.notRegex(shown.output, /(org|prj|acc)_[a-z0-9]{26}/);
  const found = await cli.run(['projects', 'web']);
  t.regex(found.output, /^MIGRATED +FROM +TO\nWeb +Ada’s organization +the region eu$/m);
  const named = await cli.run(['project', 'show', 'web']);
  t.is(named.code, 3, named.errors);
  t.regex(named.errors, /^error: "Web" has migrated to the region eu\.\nnext: +silo profiles /);
  await cli.json(['project', 'rename', 'Web', 'Shop', '--profile', 'eu']);
  const renamed = await cli.json(['migrate', 'show', 'Shop']);
  t.like(renamed, { migration: { id, projectName: 'Web' } });
  await cli.json(['project', 'rename', 'Shop', 'Web', '--profile', 'eu']);
  const usage = await cli.run(['usage', '--org', source.organization.id]);
  t.regex(usage.output, /^\d{4}-\d\d-\d\d {2}Web \(migrated to eu\) +700 /m);
  const gone = await cli.run(['project', 'show', projectId]);
  t.is(gone.code, 3, gone.errors);
  t.regex(gone.errors, /eu/);

  const back = await cli.run(['migrate', 'rollback', id, '--yes', '--endpoints', endpoints.us]);
  t.is(back.code, 0, back.errors);
  t.regex(back.output, /^Goes back: Web, eu → us\./);
  const [rollbackId = ''] = /mig_us_\w+/.exec(back.output) ?? [];
  const drawn = cli.inTerminal([
    'migrate',
    'watch',
    rollbackId,
    '--staff',
    '--endpoints',
    endpoints.us,
  ]);
  t.is(await drawn.ended, 0, drawn.screen());
  t.regex(drawn.screen(), /Web {2}done {2}█{20} 100 %/);
  t.like(await cli.json(['project', 'show', 'Web']), {
    project: { id: projectId, organizationId: source.organization.id },
  });
  t.notRegex((await cli.run(['projects', 'web'])).output, /MIGRATED/);
  t.is((await storedEvents(from, projectId)).size, 700);
});

test('a migration is cancelled by its project’s name, and purged after it is done', async (t) => {
  const { cli, projectId, from, endpoints, destination } = await operator(t);
  const to = ['--to', destination.organization.id];
  const { planFingerprint } = await cli.json(['migrate', 'preview', 'Web', ...to]);
  const agreed = [...to, '--yes', '--fingerprint', String(planFingerprint)];
  t.is((await cli.run(['migrate', 'request', 'Web', ...to, '--yes'])).code, 2);
  const { migration: offer } = await cli.json(['migrate', 'request', 'Web', ...agreed]);
  const cancelling = cli.inTerminal(['migrate', 'cancel', 'Web']);
  await cancelling.sees('Type the project’s name to confirm:');
  cancelling.type(`Web${keys.enter}`);
  t.is(await cancelling.ended, 0, cancelling.screen());
  t.regex(cancelling.screen(), /Cancelled: Web stays in us\./);
  t.is((await cli.run(['migrate', 'watch', 'Web'])).code, 3);
  const again = await cli.run(['migrate', 'cancel', 'Web']);
  t.is(again.code, 0, 'an ended migration needs no confirmation');
  t.notRegex(again.errors, /will be removed/);
  const into = ['--org', destination.organization.id, '--profile', 'eu'];
  const late = await cli.run(['migrate', 'accept', String(offer?.id), ...into]);
  t.is(late.code, 3);
  t.regex(late.errors, /^next: +ask an admin of the source/m);

  await cli.json(['project', 'rename', 'Web', 'Shop']);
  t.regex((await cli.run(['migrate', 'show', 'Shop'])).output, /^state +cancelled$/m);
  await cli.json(['project', 'rename', 'Shop', 'Web']);

  const other = ['migrate', 'request', 'Web', ...to, '--yes', '--fingerprint', 'abc'];
  const changed = await cli.run(other);
  t.is(changed.code, 6, changed.errors);
  t.regex(changed.errors, /silo migrate preview/);
  const { migration } = await cli.json(['migrate', 'request', 'Web', ...agreed]);
  const id = String(migration?.id);
  const org = ['--org', destination.organization.id];
  await cli.json(['migrate', 'accept', id, ...org, '--profile', 'eu']);
  await cli.json(['migrate', 'start', id, '--endpoints', endpoints.eu]);
  t.is((await cli.run(['migrate', 'watch', id])).code, 0);
  t.like(await cli.json(['migrate', 'show', 'Ada’s organization/web']), { migration: { id } });
  await eventually(() => cli.json(['migrate', 'purge', id, '--yes', '--endpoints', endpoints.us]));
  await eventually(async () => {
    const { size } = await storedEvents(from, projectId);
    if (size > 0) throw new Error(`${size} events are left`);
  });
  const { output } = await eventually(async () => {
    const shown = await cli.run(['migrate', 'show', id]);
    if (!/^source purged +2/m.test(shown.output)) throw new Error(shown.output);
    return shown;
  });
  t.notRegex(output, /silo migrate rollback/);
  t.regex(output, /^state +done, source purged$/m);
  const repeated = await cli.run(['migrate', 'purge', id, '--endpoints', endpoints.us]);
  t.is(repeated.code, 0, repeated.errors);
  t.regex(repeated.output, /^Purged already, .* UTC: Web, us → eu\.\n$/);
  t.notRegex(repeated.errors, /will be removed/);
});

test('before a deletion or move is confirmed, it shows which migration it ends', async (t) => {
  const { cli, destination } = await operator(t);
  const to = ['--to', destination.organization.id];
  const { planFingerprint } = await cli.json(['migrate', 'preview', 'Web', ...to]);
  const agreed = [...to, '--yes', '--fingerprint', String(planFingerprint)];
  const { migration } = await cli.json(['migrate', 'request', 'Web', ...agreed]);
  await cli.json(['org', 'create', 'Acme']);
  // Text beside the prompt is left out if it takes too long to read.
  const says = (words: string[], what: RegExp) =>
    eventually(async () => {
      const { output, errors } = await cli.run(words);
      if (!what.test(output + errors)) throw new Error(output + errors);
    });
  const move = ['move', 'Web', '--to', 'Acme', '--preview'];
  const requested = /^The migration of Web to the region eu can no longer be accepted then\.$/m;
  await says(move, requested);
  await says(['project', 'delete', 'Web'], requested);
  const there = ['--org', destination.organization.id, '--profile', 'eu'];
  await cli.json(['migrate', 'accept', String(migration?.id), ...there]);
  const accepted = /^The migration of Web to the region eu will be cancelled\.$/m;
  await says(move, accepted);
  await says(['project', 'delete', 'Web'], accepted);
  t.like(await cli.json(['project', 'show', 'Web']), { project: { name: 'Web' } });
  const other = await cli.run(['project', 'delete', 'Acme/Default Project']);
  t.is(other.code, 2, other.errors);
  t.notRegex(other.errors, /migration/);
});

test('staff options are refused without --staff, and organization options with it', async (t) => {
  const { cli, endpoints } = await operator(t);
  for (const command of ['list', 'show', 'watch', 'cancel']) {
    const ignored = await cli.run(['migrate', command, '--endpoints', endpoints.eu]);
    t.is(ignored.code, 2, ignored.errors);
    t.regex(ignored.errors, /add --staff/);
  }
  const both = ['migrate', 'list', '--staff', '--endpoints', endpoints.eu, '--org', 'Example'];
  t.is((await cli.run(both)).code, 2);
});

test('staff is refused without a certificate, or with the certificates of another region', async (t) => {
  const { cli, endpoints } = await operator(t);
  const none = await cli.run(['migrate', 'list', '--staff', '--endpoints', 'nowhere.json']);
  t.is(none.code, 2);
  t.regex(none.errors, /does not describe Silo/);
  const environment = { PROJECT_INTERNAL_ADDRESS: '127.0.0.1:1' };
  const half = await cli.run(['migrate', 'list', '--staff'], { environment });
  t.is(half.code, 2);
  t.regex(half.errors, /TLS_CA, TLS_CERT and TLS_KEY of a staff certificate must be set/);
  const [us, eu] = await Promise.all(
    [endpoints.us, endpoints.eu].map(async (file) => JSON.parse(await readFile(file, 'utf8'))),
  );
  const mixed = join(cli.directory, 'mixed.json');
  await writeFile(mixed, JSON.stringify({ ...eu, staff: us.staff }));
  const foreign = await cli.run(['migrate', 'list', '--staff', '--endpoints', mixed]);
  t.is(foreign.code, 4, foreign.errors);
  t.is((await cli.run(['migrate', 'list', '--staff', '--endpoints', endpoints.eu])).code, 0);
});
