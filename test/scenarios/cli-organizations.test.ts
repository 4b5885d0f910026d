import { newId } from '@silo/tokens/ids.ts';
import { signedInHome } from '../harness/cli.ts';
import { keys } from '../harness/terminal.ts';
import { addSilentGuard, scenarios } from './support.ts';

const test = scenarios();

test('an organization is created, renamed, changed, and deleted once it is empty', async (t) => {
  const { cli } = await signedInHome(t);
  const { organization, projectId } = await cli.json(['org', 'create', 'Side']);
  t.like(await cli.json(['org', 'show', 'side']), { organization: { id: organization?.id } });
  await cli.json(['org', 'rename', 'Side', 'Other']);
  t.like(await cli.json(['org', 'settings', 'Other', '--projects-by', 'admins']), {
    organization: { name: 'Other', membersMayCreateProjects: false },
  });
  t.regex((await cli.run(['org', 'settings', 'Other'])).output, /admins only/);
  const full = await cli.run(['org', 'delete', 'Other', '--yes']);
  t.is(full.code, 3);
  t.regex(full.errors, /next: +silo project delete PROJECT, or silo move PROJECT/);
  await cli.json(['project', 'delete', String(projectId), '--yes']);
  const lossy = await cli.run(['org', 'delete', 'Other', '--yes']);
  t.is(lossy.code, 3);
  t.regex(lossy.errors, /1 deleted project can still be undeleted/);
  t.regex(lossy.errors, /--end-deleted-projects/);
  const terminal = cli.inTerminal(['org', 'delete', 'Other', '--end-deleted-projects']);
  await terminal.sees('are lost for ever');
  await terminal.sees('Type the organization’s name to confirm:');
  terminal.type(`Other${keys.enter}`);
  t.is(await terminal.ended, 0, terminal.screen());
  t.is((await cli.run(['org', 'show', 'Other'])).code, 4);
});

test('a member is invited with a code that is on no command line, gets a higher level, and is removed', async (t) => {
  const ada = await signedInHome(t, 'Ada');
  const bob = await signedInHome(t, 'Bob');
  const { email } = bob.person.account;
  const org = ['--org', ada.person.organization.id];
  const invited = await ada.cli.run(['members', 'invite', email, ...org]);
  t.is(invited.code, 0, invited.errors);
  const [code = ''] = /ivc_\w+/.exec(invited.output) ?? [];
  t.like(await ada.cli.json(['members', 'invites', ...org]), { invites: [{ email }] });
  const accepting = bob.cli.inTerminal(['members', 'accept']);
  await accepting.sees('Code of the invite:');
  accepting.type(code + keys.enter);
  t.is(await accepting.ended, 0, accepting.screen());
  t.false(accepting.raw().includes(code));
  t.like(await ada.cli.json(['members', 'update', email, '--level', 'admin', ...org]), {
    member: { level: 'LEVEL_ADMIN' },
  });
  t.regex((await ada.cli.run(['members', 'list', ...org])).output, /^Bob .* admin /m);
  const lower = ['members', 'update', email, '--level', 'member', ...org];
  t.is((await bob.cli.run(lower)).code, 2, 'Bob could not raise his own level again');
  const lowering = bob.cli.inTerminal(lower);
  await lowering.sees('Type the member’s e-mail to confirm:');
  lowering.type(`${email}${keys.enter}`);
  t.is(await lowering.ended, 0, lowering.screen());
  t.regex((await ada.cli.run(['members', 'list', ...org])).output, /^Bob .* member /m);
  const removing = ada.cli.inTerminal(['members', 'remove', email, ...org]);
  await removing.sees('Type the member’s e-mail to confirm:');
  removing.type(keys.ctrlC);
  t.is(await removing.ended, 130);
  t.is((await bob.cli.run(['org', 'show', ada.person.organization.id])).code, 0);
  t.is(
    (await ada.cli.run(['members', 'remove', 'Bob', '--yes', ...org])).code,
    4,
    'a name does not identify a member',
  );
  await ada.cli.json(['members', 'remove', email, '--yes', ...org]);
  t.is((await bob.cli.run(['org', 'show', ada.person.organization.id])).code, 4);
});

test('an invite is withdrawn by its id', async (t) => {
  const { cli, person } = await signedInHome(t);
  const org = ['--org', person.organization.id];
  const { invite } = await cli.json(['members', 'invite', 'bob@example.com', ...org]);
  await cli.json(['members', 'withdraw', String(invite?.id), ...org]);
  t.is((await cli.run(['members', 'invites', ...org])).output, 'No open invites.\n');
  t.is((await cli.run(['members', 'withdraw', newId('inv'), ...org])).code, 4);
});

test('the last owner cannot leave; with another owner, leaving is confirmed by the name', async (t) => {
  const ada = await signedInHome(t, 'Ada');
  const bob = await signedInHome(t, 'Bob');
  const id = ada.person.organization.id;
  const alone = await ada.cli.run(['org', 'leave', id, '--yes']);
  t.is(alone.code, 3);
  t.regex(alone.errors, /reason LAST_OWNER/);
  const words = ['members', 'invite', bob.person.account.email, '--level', 'owner', '--org', id];
  await bob.cli.json(['members', 'accept'], String((await ada.cli.json(words)).code));
  const leaving = ada.cli.inTerminal(['org', 'leave', id]);
  await leaving.sees('Type the organization’s name to confirm:');
  leaving.type(`Ada’s organization${keys.enter}`);
  t.is(await leaving.ended, 0, leaving.screen());
  t.is((await ada.cli.run(['org', 'show', id])).code, 4);
});

test('the requirements of a plan are reported, or prompted for at a terminal; then the plan changes', async (t) => {
  const { cli, person } = await signedInHome(t);
  const org = ['--org', person.organization.id];
  const plans = await cli.run(['plan', 'list']);
  t.regex(plans.output, /^pay-as-you-go +Pay as you go +6 +no +yes +by captured events$/m);
  const early = await cli.run(['plan', 'change', 'scale', '--yes', ...org]);
  t.is(early.code, 3);
  t.regex(early.errors, /next: +silo plan billing-details/);
  const asked = cli.inTerminal(['plan', 'change', 'scale', ...org]);
  t.is(await asked.ended, 3, 'no confirmation if the change would be refused');
  t.regex(asked.screen(), /payment +invoiced; billing details are needed first/);
  const terminal = cli.inTerminal(['plan', 'billing-details', ...org]);
  for (const [question, answer] of [
    ['Company:', 'Example Ltd'],
    ['E-mail for invoices:', 'billing@example.com'],
    ['Postal address:', '1 Example Street'],
    ['Country (two letters):', 'DE'],
  ] as const) {
    await terminal.sees(question);
    terminal.type(answer + keys.enter);
  }
  t.is(await terminal.ended, 0, terminal.screen());
  t.is((await cli.run(['plan', 'change', 'scale', ...org])).code, 2, 'no terminal to confirm at');
  t.like(await cli.json(['plan', 'change', 'scale', '--yes', ...org]), {
    subscription: { plan: 'PLAN_SCALE', billingDetails: { companyName: 'Example Ltd' } },
  });
  t.regex((await cli.run(['plan', ...org])).output, /projects +1 of unlimited/);
  const same = cli.inTerminal(['plan', 'change', 'scale', ...org]);
  t.is(await same.ended, 3);
  t.regex(same.screen(), /The plan is scale already\./);
  const choosing = cli.inTerminal(['plan', 'change', ...org]);
  await choosing.sees('enterprise (');
  t.notRegex(choosing.screen(), /scale \(/, 'the present plan is not offered');
  choosing.type(keys.ctrlC);
  t.is(await choosing.ended, 130);
  const details = ['--company', 'Example', '--email', 'b@example.com', '--address', 'A'];
  const billed = ['plan', 'billing-details', ...details, '--country', 'DE', ...org];
  await cli.json([...billed, '--tax-id', 'DE123456789']);
  t.like(await cli.json(billed), { subscription: { billingDetails: { taxId: 'DE123456789' } } });
  t.is((await cli.run(['plan', 'change', 'gold', ...org])).code, 2);
  t.is((await cli.run(['plan', 'billing-details', ...org])).code, 2, 'no terminal for a prompt');
});

test('activity is listed newest first, up to the limit', async (t) => {
  const { cli, person } = await signedInHome(t);
  await cli.json(['project', 'rename', person.projectId, 'Web']);
  const { entries, nextPageToken } = await cli.json([
    'activity',
    '--project',
    'Web',
    '--limit',
    '1',
  ]);
  t.like(entries, [{ type: 'project.updated', changes: [{ field: 'name', to: 'Web' }] }]);
  t.not(nextPageToken as unknown, '');
  const text = await cli.run(['activity', '--org', person.organization.id, '--limit', '1']);
  t.regex(text.output, /project changed +Ada \(\S+\) +Web +name: Default Project → Web/);
  t.notRegex(text.output, /[a-z]{3}_[0-9a-z]{26}|project\.updated/);
  t.regex(text.output, /There is more: --limit N/);
  t.is((await cli.run(['activity', '--limit', '0'])).code, 2);
});

test('the outcome of an interrupted deletion is learned with the command that it shows', async (t) => {
  const { cli, person } = await signedInHome(t);
  await using guard = await addSilentGuard(t.context.silo);
  const terminal = cli.inTerminal(['project', 'delete', 'Default Project', '--yes']);
  await terminal.sees('Waiting until the old access has ended everywhere');
  terminal.type(keys.ctrlC);
  t.is(await terminal.ended, 130, terminal.screen());
  const screen = terminal.screen().replaceAll('\n', '');
  const [, command = ''] =
    /next: +silo (project delete .* --request-id \S+) executes it/.exec(screen) ?? [];
  t.true(command.includes(person.projectId));
  await guard.release();
  t.like(await cli.json(command.split(' ')), { project: { state: 'PROJECT_STATE_DELETED' } });
});
