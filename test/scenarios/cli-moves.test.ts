import { keys } from '../harness/terminal.ts';
import { cliMover } from './cli-mover.ts';
import { moveProject, present, scenarios } from './support.ts';

const test = scenarios();

test('undo shows the move, prompts, and undoes it', async (t) => {
  const { cli, person, destinationId, project, sourceId, ownerOf } = await cliMover(t);
  const { id } = present((await moveProject(person.api, project.id, destinationId)).move);
  const unasked = await cli.run(['undo', id]);
  t.is(unasked.code, 2);
  t.regex(unasked.errors, /confirm with --yes/);
  const declined = cli.inTerminal(['undo', id]);
  await declined.sees('Type undo to confirm:');
  t.regex(declined.screen(), /1 project will go back to Ada’s organization: members of Acme only/);
  t.notRegex(declined.screen(), /(org|prj|acc)_/);
  declined.type(`no${keys.enter}`);
  t.is(await declined.ended, 7);
  t.is(await ownerOf(), destinationId);
  const agreed = cli.inTerminal(['undo', id]);
  await agreed.sees('Type undo to confirm:');
  agreed.type(`undo${keys.enter}`);
  t.is(await agreed.ended, 0, agreed.screen());
  t.regex(agreed.screen(), /Undone: Web back in Ada’s organization\./);
  t.is(await ownerOf(), sourceId);
  const again = await cli.run(['undo', id, '--yes', '--json']);
  t.is(again.code, 3);
  t.is(JSON.parse(again.output).error.reason, 'MOVE_UNDONE');
});

test('moves are listed with what can still be done with them', async (t) => {
  const { cli, person, destinationId, project } = await cliMover(t);
  const { id } = present((await moveProject(person.api, project.id, destinationId)).move);
  const listed = await cli.run(['moves', '--project', 'Web']);
  t.is(listed.code, 0, listed.errors);
  const by = 'Ada \\(\\S+@\\S+\\)';
  t.regex(listed.output, new RegExp(`Web +Ada’s organization +Acme +${by} +undo until .* UTC\n`));
  t.notRegex(listed.output, /(org|prj|acc|mov)_/);
  t.like(await cli.json(['moves', '--org', 'Acme']), {
    moves: { 0: { id, projectId: project.id } },
  });
  t.like(await cli.json(['moves', 'show', id]), { move: { id, undoneBy: '' } });
  t.like(await cli.json(['undo', id, '--yes']), { move: { undoOf: id } });
  const after = await cli.run(['moves', '--org', 'Acme']);
  t.regex(after.output, /Web +Acme +Ada’s organization +.* an undo\n.*Web +Ada’s .* undone\n/);
  const withIds = await cli.run(['moves', '--org', 'Acme', '--ids']);
  t.regex(withIds.output, new RegExp(`an undo \\(${id}\\)`));
  t.regex(withIds.output, new RegExp(`\\d \\(${id}\\) .* undone \\(mov_\\w+\\)`));
  t.is((await cli.run(['moves', '--org', 'Acme', '--project', 'Web'])).code, 2);
});

test('a finalized move cannot be undone', async (t) => {
  const { cli, person, destinationId, project, ownerOf } = await cliMover(t);
  const { id } = present((await moveProject(person.api, project.id, destinationId)).move);
  const prompted = cli.inTerminal(['finalize', id]);
  await prompted.sees('Type finalize to confirm:');
  prompted.type(keys.ctrlC);
  t.is(await prompted.ended, 130);
  t.is((await cli.json(['moves', 'show', id])).move?.finalizeTime, undefined);
  t.like(await cli.json(['finalize', id, '--yes']), { move: { id } });
  const refused = await cli.run(['undo', id, '--yes']);
  t.is(refused.code, 3);
  t.regex(refused.errors, /reason MOVE_FINALIZED/);
  t.is(await ownerOf(), destinationId);
});

test('a deleted project is listed, and undeleted by its name or id', async (t) => {
  const { cli, project, ownerOf, sourceId } = await cliMover(t);
  const deleted = await cli.run(['project', 'delete', 'Web', '--yes']);
  t.is(deleted.code, 0, deleted.errors);
  t.true(deleted.output.includes(`silo project undelete ${project.id}`));
  t.regex(deleted.output, /The old access has ended everywhere \(/);
  const listed = await cli.json(['projects', '--deleted']);
  t.like(listed, { projects: [{ id: project.id, state: 'PROJECT_STATE_DELETED' }] });
  t.truthy(listed.projects?.[0]?.purgeTime);
  t.like(await cli.json(['projects', '--deleted', 'nothing of that name']), { projects: [] });
  t.regex((await cli.run(['projects', '--deleted', 'web'])).output, /silo project undelete/);
  t.is((await cli.run(['project', 'undelete', 'Other'])).code, 4);
  t.like(await cli.json(['project', 'undelete', 'WEB']), { project: { id: project.id } });
  t.is((await cli.run(['project', 'delete', 'Web', '--yes'])).code, 0);
  t.like(await cli.json(['project', 'undelete', project.id]), { project: { id: project.id } });
  t.is(await ownerOf(), sourceId);
});
