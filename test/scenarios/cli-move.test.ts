import { newId } from '@silo/tokens/ids.ts';
import type { ExecutionContext } from 'ava';
import { signedInHome } from '../harness/cli.ts';
import { keys } from '../harness/terminal.ts';
import { cliMover } from './cli-mover.ts';
import { addSilentGuard, type ScenarioContext, scenarios } from './support.ts';

const test = scenarios();

const nameQuestion = 'Type the project’s name to confirm:';

/** Adds Bob to the organization that the project leaves. */
async function addBob(
  t: ExecutionContext<ScenarioContext>,
  { cli, sourceId }: { cli: Awaited<ReturnType<typeof cliMover>>['cli']; sourceId: string },
) {
  const bob = await signedInHome(t, 'Bob');
  const words = ['members', 'invite', bob.person.account.email, '--org', sourceId];
  const { code } = await cli.json(words);
  await bob.cli.json(['members', 'accept'], String(code));
  return bob;
}

test('a move: choose the destination, see the lost access, type the name, get the command that undoes it', async (t) => {
  const { cli, destinationId: acmeId, ownerOf, sourceId } = await cliMover(t);
  await addBob(t, { cli, sourceId });
  await cli.json(['org', 'create', 'Full house']);
  const terminal = cli.inTerminal(['move', 'Web']);
  await terminal.sees('Full house (not now)');
  terminal.type('acm');
  await terminal.misses('Full house');
  await terminal.sees('❯ Acme');
  terminal.type(keys.enter);
  await terminal.sees(nameQuestion);
  const shown = terminal.screen();
  t.true(shown.includes('Move Web from Ada’s organization to Acme'));
  t.regex(shown, /Bob +member +loses access/);
  t.notRegex(shown, /(org|prj|acc)_/);
  t.regex(shown, /the destination has room +✓/);
  t.regex(shown, /Ada’s organization +2 +1 +6/);
  t.regex(shown, /Acme +1 +2 +6/);
  t.is(await ownerOf(), sourceId, 'nothing has changed yet');
  terminal.type(`Web${keys.enter}`);
  t.is(await terminal.ended, 0, terminal.screen());
  t.is(await ownerOf(), acmeId);
  t.regex(terminal.screen(), /Moved Web to Acme\.\nThe old access has ended everywhere \(/);
  const [, undo = ''] =
    /Until .* UTC it can be undone: silo (undo mov_\w+)$/m.exec(terminal.screen()) ?? [];
  t.is((await cli.run([...undo.split(' '), '--yes'])).code, 0);
  t.is(await ownerOf(), sourceId);
});

test('a wrong name, or Ctrl-C at either prompt, changes nothing', async (t) => {
  const { cli, ownerOf, sourceId } = await cliMover(t);
  const wrong = cli.inTerminal(['move', 'Web', '--to', 'Acme']);
  await wrong.sees(nameQuestion);
  wrong.type(`web${keys.enter}`);
  t.is(await wrong.ended, 7, wrong.screen());
  const atName = cli.inTerminal(['move', 'Web', '--to', 'Acme']);
  await atName.sees(nameQuestion);
  atName.type(`Web${keys.ctrlC}`);
  t.is(await atName.ended, 130, atName.screen());
  const atList = cli.inTerminal(['move', 'Web']);
  await atList.sees('❯ Acme');
  atList.type(keys.ctrlC);
  t.is(await atList.ended, 130, atList.screen());
  t.is(await ownerOf(), sourceId);
  t.is((await cli.run(['moves', '--project', 'Web'])).output, 'No moves yet.\n');
});

test('violated rules are shown before any prompt, with a remedy, and end with exit code 3', async (t) => {
  const { cli, ownerOf, sourceId } = await cliMover(t);
  await cli.json(['org', 'create', 'Full house']);
  const terminal = cli.inTerminal(['move', 'Web', '--to', 'Full house']);
  t.is(await terminal.ended, 3, terminal.screen());
  t.regex(terminal.screen(), /the destination has room +✗ +The organization has 1 of at most 1/);
  t.regex(terminal.screen(), /next: +silo plan list, then silo plan change PLAN --org org_us_/);
  t.false(terminal.screen().includes(nameQuestion));
  t.is(await ownerOf(), sourceId);
  const elsewhere = newId('org_eu');
  const asked = await cli.run(['move', 'Web', '--to', elsewhere]);
  t.is(asked.code, 3, asked.errors);
  t.true(asked.errors.includes(`silo migrate preview PROJECT --to ${elsewhere}\n`), asked.errors);
  const far = await cli.run(['move', 'Web', '--to', elsewhere, '--preview', '--json']);
  t.is(far.code, 3);
  t.is(JSON.parse(far.output).error.reason, 'CROSS_REGION');
});

test('a script moves with the fingerprint of a preview; a changed plan ends with exit code 6', async (t) => {
  const { cli, destinationId: acmeId, ownerOf, sourceId } = await cliMover(t);
  const words = ['move', 'Web', '--to', 'Acme'];
  const preview = await cli.json([...words, '--preview']);
  t.like(preview, { allowed: true, losing: { memberCount: 0 } });
  await addBob(t, { cli, sourceId });
  const agreed = [...words, '--yes', '--fingerprint'];
  const stale = await cli.run([...agreed, String(preview.planFingerprint), '--json']);
  t.is(stale.code, 6);
  t.like(JSON.parse(stale.output).error, { reason: 'PLAN_CHANGED', exit: 6 });
  t.regex(stale.errors, /next: +silo move --preview/);
  t.is(await ownerOf(), sourceId);
  const { planFingerprint } = await cli.json([...words, '--preview']);
  const moved = await cli.json([...agreed, String(planFingerprint)]);
  t.like(moved, { project: { organizationId: acmeId }, move: { undoOf: '' } });
  t.is(await ownerOf(), acmeId);
});

test('without a terminal a move requires the destination and the fingerprint, and changes nothing', async (t) => {
  const { cli, ownerOf, sourceId } = await cliMover(t);
  for (const [words, complaint] of [
    [['move', 'Web'], /give --to/],
    [['move', 'Web', '--to', 'Acme'], /confirm with --yes/],
    [['move', 'Web', '--to', 'Acme', '--yes'], /--yes needs the fingerprint/],
  ] as const) {
    const { code, output, errors } = await cli.run([...words]);
    t.is(code, 2, errors);
    t.is(output, '');
    t.regex(errors, complaint);
  }
  t.is(await ownerOf(), sourceId);
});

test('several projects move together, confirmed by the destination’s name', async (t) => {
  const { cli, destinationId: acmeId, project: web, create, ownerOf, sourceId } = await cliMover(t);
  const app = await create('App');
  const terminal = cli.inTerminal(['move', 'Web', 'App', 'web', '--to', 'Acme']);
  await terminal.sees('Type the destination’s name to confirm:');
  t.regex(terminal.screen(), /Move 2 projects from Ada’s organization to Acme/);
  terminal.type(`Acme${keys.enter}`);
  t.is(await terminal.ended, 0, terminal.screen());
  t.deepEqual([await ownerOf(web.id), await ownerOf(app.id)], [acmeId, acmeId]);
  const { moves } = await cli.json(['moves', '--org', 'Acme']);
  t.like(moves, [{ projectId: '', projectIds: [web.id, app.id] }]);
  await cli.json(['undo', String(moves?.[0]?.id), '--yes']);
  t.deepEqual([await ownerOf(web.id), await ownerOf(app.id)], [sourceId, sourceId]);
  const elsewhere = await cli.run(['move', 'Web', 'Acme/Default Project', '--to', 'Acme']);
  t.is(elsewhere.code, 2);
  t.regex(elsewhere.errors, /of several organizations/);
});

for (const names of [['Web'], ['Web', 'App']]) {
  const what = names.length === 1 ? 'a move' : 'a batch';
  test(`${what} shows that it waits for the barrier; Ctrl-C then shows how to learn its outcome`, async (t) => {
    const { cli, destinationId: acmeId, create, ownerOf } = await cliMover(t);
    await create('App');
    await using guard = await addSilentGuard(t.context.silo);
    const terminal = cli.inTerminal(['move', ...names, '--to', 'Acme']);
    await terminal.sees('to confirm:');
    terminal.type(`${names.length === 1 ? 'Web' : 'Acme'}${keys.enter}`);
    await terminal.sees(/Waiting until the old access has ended everywhere … [1-9]\d* s/);
    terminal.type(keys.ctrlC);
    t.is(await terminal.ended, 130, terminal.screen());
    const screen = terminal.screen().replaceAll('\n', '');
    t.regex(screen, /the change may have been made/);
    const [, command = ''] =
      /next: +silo (move .* --request-id [0-9a-f-]{36}) executes it/.exec(screen) ?? [];
    await guard.release();
    const learned = await cli.json(command.split(' '));
    t.is(await ownerOf(), acmeId);
    const { moves } = await cli.json(['moves', '--org', 'Acme']);
    t.deepEqual(moves as unknown, [learned.move]);
  });
}
