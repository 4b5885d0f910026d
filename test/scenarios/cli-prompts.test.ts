import { randomUUID } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { emptyHome, signedInHome } from '../harness/cli.ts';
import { run } from '../harness/command.ts';
import { keys } from '../harness/terminal.ts';
import {
  choosePlan,
  createOrganization,
  createProject,
  moveProject,
  scenarios,
} from './support.ts';

const test = scenarios();

test('a secret that is typed before its prompt appears is not shown, and is read', async (t) => {
  const [ada, { apiKey, account }] = await Promise.all([
    emptyHome(t),
    t.context.silo.signUp('Ada'),
  ]);
  // The command waits for its endpoints long before it prompts.
  const pipe = join(ada.directory, 'endpoints');
  t.is((await run('mkfifo', [pipe])).code, 0);
  const terminal = ada.inTerminal(['login', '--endpoints', pipe]);
  await using endpoints = await open(pipe, 'w');
  terminal.type(apiKey + keys.enter);
  await endpoints.writeFile(await readFile(join(ada.directory, '.silo/endpoints.json')));
  await endpoints.close();
  t.is(await terminal.ended, 0, terminal.screen());
  t.regex(terminal.screen(), new RegExp(`Signed in as ${account.email}`));
  t.false(terminal.raw().includes(apiKey.slice(0, 12)));
});

test('signup checks each field at once, keeps the answers, and works in the new project', async (t) => {
  const taken = await t.context.silo.signUp('Ada');
  const { email: takenEmail } = taken.account;
  const bob = await emptyHome(t);
  const terminal = bob.inTerminal(['signup', '--dev']);
  await terminal.sees('E-mail:');
  terminal.type(`bob${keys.enter}`);
  await terminal.sees('Write an e-mail such as ada@example.com.');
  terminal.type(keys.eraseLine + takenEmail + keys.enter);
  for (const [question, answer] of [
    ['Your name:', 'Bob'],
    ['Name of your organization:', 'Bobs'],
  ] as const) {
    await terminal.sees(question);
    terminal.type(answer + keys.enter);
  }
  await terminal.sees('Another account has this e-mail.');
  const email = `bob-${randomUUID()}@example.com`;
  terminal.type(keys.eraseLine + email + keys.enter);
  t.is(await terminal.ended, 0, terminal.screen());
  t.is(terminal.screen().match(/Your name:/g)?.length, 1);
  t.like(await bob.json(['account']), { account: { email, displayName: 'Bob' } });
  t.like(await bob.json(['project', 'show']), { project: { name: 'Default Project' } });
});

test('billing details begin with the old values, and a country is checked', async (t) => {
  const { cli, person } = await signedInHome(t);
  await choosePlan(person.api, person.organization.id);
  const terminal = cli.inTerminal(['plan', 'billing-details']);
  for (const question of ['Company:', 'E-mail for invoices:', 'Postal address:']) {
    await terminal.sees(question);
    terminal.type(keys.enter);
  }
  await terminal.sees('Country (two letters):');
  terminal.type(`${keys.eraseLine}xx${keys.enter}`);
  await terminal.sees('Write the two letters of a country, such as DE.');
  terminal.type(`${keys.eraseLine}fr${keys.enter}`);
  t.is(await terminal.ended, 0, terminal.screen());
  const { subscription } = await person.api.billing.getSubscription({
    organizationId: person.organization.id,
  });
  t.like(subscription?.billingDetails, { countryCode: 'FR' });
  t.not(subscription?.billingDetails?.companyName, '');
});

test('a missing argument is chosen from a list; without a terminal the command says what to give', async (t) => {
  const { cli, person } = await signedInHome(t);
  await createOrganization(person.api, 'Acme');
  await cli.json(['members', 'invite', 'bob@example.com', '--org', person.organization.id]);
  for (const [words, shown, instead] of [
    [['project', 'show'], 'Default Project — Ada’s organization', /Which project/],
    [['project', 'delete'], 'Default Project — Acme', /name the project/],
    [['keys', 'show'], 'First key', /name the key/],
    [['keys', 'delete'], 'First key', /name the key/],
    [['org', 'leave'], 'Acme', /name the organization/],
    [['plan', 'show'], 'Acme', /Which organization/],
    [
      ['plan', 'change', '--org', 'Acme'],
      'pay-as-you-go (up to 6 projects, by captured events)',
      /name the plan/,
    ],
    [['members', 'remove', '--org', person.organization.id], 'Ada (', /name the member/],
    [
      ['members', 'withdraw', '--org', person.organization.id],
      'bob@example.com',
      /name the invite/,
    ],
    [['profiles', 'use'], 'dev', /name the profile/],
  ] as const) {
    const terminal = cli.inTerminal([...words]);
    await terminal.sees(shown);
    terminal.type(keys.ctrlC);
    t.is(await terminal.ended, 130, terminal.screen());
    const { code, errors } = await cli.run([...words]);
    t.is(code, 2, errors);
    t.regex(errors, instead);
  }
});

test('a key is rolled without overlap, or a plan changed, only after the loss is confirmed', async (t) => {
  const { cli, person } = await signedInHome(t);
  await cli.json(['keys', 'create', 'ci', '--scope', 'project:read']);
  t.is((await cli.run(['keys', 'roll', 'ci'])).code, 2);
  const rolling = cli.inTerminal(['keys', 'roll', 'ci']);
  await rolling.sees('is refused from now on: whatever uses it stops working');
  await rolling.sees('Type the key’s name to confirm:');
  rolling.type(`ci${keys.enter}`);
  t.is(await rolling.ended, 0, rolling.screen());
  await choosePlan(person.api, person.organization.id);
  const changing = cli.inTerminal(['plan', 'change', 'scale']);
  await changing.sees('Type the plan’s name to confirm:');
  t.regex(changing.screen(), /projects +up to 6 projects +any number of projects/);
  t.regex(changing.screen(), /payment +invoiced to /);
  t.regex(changing.screen(), /price +by captured events +monthly fee/);
  changing.type(`no${keys.enter}`);
  t.is(await changing.ended, 7, changing.screen());
  t.like(await cli.json(['plan']), { subscription: { plan: 'PLAN_PAY_AS_YOU_GO' } });
});

test('an undo is offered only to those who may undo, and otherwise refused with names of the move', async (t) => {
  const { cli, person } = await signedInHome(t);
  const bob = await signedInHome(t, 'Bob');
  const sourceId = person.organization.id;
  await choosePlan(person.api, sourceId);
  const { organizationId } = await createOrganization(person.api, 'Acme');
  await choosePlan(person.api, organizationId);
  for (const org of [sourceId, organizationId]) {
    const words = ['members', 'invite', bob.person.account.email, '--org', org];
    await bob.cli.json(['members', 'accept'], String((await cli.json(words)).code));
  }
  const { id } = await createProject(person.api, sourceId, { name: 'Web' });
  const { move } = await moveProject(person.api, id, organizationId);
  t.regex((await cli.run(['moves', '--project', 'Web'])).output, /undo until/);
  t.regex((await bob.cli.run(['moves', '--project', 'Web'])).output, /Web .* moved\n/);
  const refused = await bob.cli.run(['undo', 'Web', '--yes']);
  t.is(refused.code, 4);
  t.regex(refused.errors, /You may not undo the move of Web from Ada’s organization to Acme\./);
  t.regex(refused.errors, /Ada \(\S+\), who made it, may/);
  const script = await bob.cli.run(['undo', move?.id ?? '', '--yes', '--json']);
  t.is(JSON.parse(script.output).error.reason, 'ADMIN_REQUIRED');
  const choosing = cli.inTerminal(['undo']);
  await choosing.sees('Web: Ada’s organization → Acme');
  choosing.type(keys.enter);
  await choosing.sees('Type undo to confirm:');
  choosing.type(`undo${keys.enter}`);
  t.is(await choosing.ended, 0, choosing.screen());
  t.regex(choosing.screen(), /Web back in Ada’s organization/);
});

test('the activity log is filtered by time and person, and followed', async (t) => {
  const { cli, person } = await signedInHome(t);
  const { email } = person.account;
  const log = ['activity', '--org', person.organization.id];
  const by = await cli.json([...log, '--by', email, '--since', '1h']);
  t.true((by.entries as unknown as unknown[]).length > 0);
  t.like(await cli.json([...log, '--by', 'silo-operator']), { entries: [] });
  t.like(await cli.json([...log, '--since', '2099-01-01']), { entries: [] });
  const terminal = cli.inTerminal([...log, '--follow', '--limit', '1']);
  await terminal.sees(/^\d{4}-\d\d-\d\d \d\d:\d\d {2}\w+/);
  await cli.json(['project', 'rename', person.projectId, 'Web']);
  await terminal.sees('name: Default Project → Web');
  terminal.type(keys.ctrlC);
  t.is(await terminal.ended, 130, terminal.screen());
  t.is(terminal.screen().match(/Default Project → Web/g)?.length, 1);
});

for (const columns of [80, 100, 160]) {
  test(`tables fit into a terminal of ${columns} columns`, async (t) => {
    const { cli, person } = await signedInHome(t);
    await choosePlan(person.api, person.organization.id);
    const { organizationId } = await createOrganization(person.api, 'Acme, the other one of ours');
    await choosePlan(person.api, organizationId);
    const name = 'A project with a name that is long enough to need more than a line';
    const { id } = await createProject(person.api, person.organization.id, { name });
    await moveProject(person.api, id, organizationId);
    const scopes = ['project:read', 'event:read', 'token:read', 'key:read'];
    await cli.json(['keys', 'create', 'ci', '--scope', ...scopes, '--project', id]);
    const org = ['--org', organizationId];
    for (const words of [['moves', ...org], ['activity', ...org], ['keys', 'list'], ['projects']]) {
      const terminal = cli.inTerminal(words, {}, columns);
      t.is(await terminal.ended, 0, terminal.screen());
      // The screen after the progress line was erased; each letter takes one column.
      const lines = terminal
        .raw()
        .split('\r\n')
        .map((line) => stripVTControlCharacters(line.split('\u001b[2K').at(-1) ?? ''));
      t.true(lines.length > 1);
      for (const line of lines) t.true([...line].length <= columns, line);
      t.notRegex(terminal.screen(), /[a-z]{3}_[0-9a-z]{26}/);
    }
  });
}
