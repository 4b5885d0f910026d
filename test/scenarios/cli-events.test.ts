import { randomUUID } from 'node:crypto';
import type { ExecutionContext } from 'ava';
import { signedInHome } from '../harness/cli.ts';
import type { TestSilo } from '../harness/silo.ts';
import { keys } from '../harness/terminal.ts';
import { capture, event } from './event-requests.ts';
import { scenarios } from './support.ts';

const test = scenarios();

const uuids = ['a', 'b', 'c'].map((digit) => digit.repeat(8) + randomUUID().slice(8));

/** A CLI home whose project has three events; the others are a day apart from the second. */
async function withEvents(t: ExecutionContext<{ silo: TestSilo }>) {
  const { cli, person } = await signedInHome(t);
  const of = (index: number, timestamp: string, properties: string, distinctId = 'ada') =>
    event({ uuid: uuids[index] ?? '', timestamp, properties, distinctId });
  await capture(t.context.silo, person.projectToken, [
    of(0, '2026-01-01T10:00:00Z', '{"plan":"free","$host":"a.example.com","n":1.50}'),
    of(1, '2026-01-02T10:00:00Z', '{"plan":"pro","n":12345678901234567890}'),
    of(2, '2026-01-02T11:00:00Z', '{"plan":"pro"}', 'eve'),
  ]);
  return { cli, person, project: person.projectId };
}

test('events are shown newest first, as the filters select them', async (t) => {
  const { cli, project } = await withEvents(t);
  const found = async (...filters: string[]) => {
    const { events } = await cli.json(['events', 'query', project, ...filters]);
    return (events as unknown as { uuid: string }[]).map(({ uuid }) => uuids.indexOf(uuid));
  };
  t.deepEqual(await found(), [2, 1, 0]);
  t.deepEqual(await found('--limit', '2'), [2, 1]);
  t.deepEqual(await found('--distinct-id', 'eve'), [2]);
  t.deepEqual(await found('--since', '2026-01-02', '--until', '2026-01-02T11:00'), [1]);
  t.deepEqual(await found('--where', '$host=a.example.com'), [0]);
  t.deepEqual(await found('--where', 'plan^=p', '--where', 'n>2'), [1]);
  t.deepEqual(await found('--where', 'n'), [1, 0]);
  t.deepEqual(await found('--name', 'clicked', '--name', 'seen'), [2, 1, 0]);
  t.deepEqual(await found('--name', 'clicked'), []);
  const { output } = await cli.run(['events', 'query', 'Default Project', '--limit', '2']);
  t.regex(output, /^2026-01-02 11:00:00\.000 +seen +eve +plan=pro\n.*ada +plan=pro n=1234567890/m);
  t.regex(output, /There is more: --limit N/);
  const wrong = await cli.run(['events', 'query', project, '--where', 'n<=5']);
  t.is(wrong.code, 2);
  t.regex(wrong.errors, /There is no <= and no >=/);
});

// Far more output than a pipe holds.
const manyEvents = 40;
const textSizeBytes = 20_000;

test('a large answer is written completely to a pipe', async (t) => {
  const { cli, person } = await signedInHome(t);
  const properties = JSON.stringify({ text: 'x'.repeat(textSizeBytes) });
  const events = Array.from({ length: manyEvents }, () => event({ properties }));
  await capture(t.context.silo, person.projectToken, events);
  const words = ['events', 'query', person.projectId, '--limit', String(manyEvents), '--json'];
  const { code, output, errors } = await cli.run(words);
  t.is(code, 0, errors);
  t.is(JSON.parse(output).events.length, manyEvents);
});

test('events are counted by day, name and property, with a total', async (t) => {
  const { cli, project } = await withEvents(t);
  const counted = async (...words: string[]) =>
    (await cli.run(['events', 'count', project, ...words])).output;
  const days = await counted();
  t.regex(days, /^DAY .*\n2026-01-02 +2 {2}█+\n2026-01-01 +1 {2}█+\n3 events in total\n$/);
  t.regex(await counted('--by', 'name'), /^seen +3 /m);
  t.regex(await counted('--by', 'plan'), /^"pro" +2 .*\n"free" +1 /m);
  t.regex(await counted('--by', '$host'), /^\(no \$host\) +2 /m);
  t.like(await cli.json(['events', 'count', project, '--distinct-id', 'eve']), { totalCount: 1 });
  await cli.json(['switch', project]);
  const current = await cli.run(['events', 'count']);
  t.is(current.errors, 'Events of Default Project:\n');
  t.regex(current.output, /3 events in total/);
});

test('an export has a line for each event as it was sent, and continues after its token', async (t) => {
  const { cli, person, project } = await withEvents(t);
  const words = ['events', 'export', project];
  const { code, output, errors } = await cli.run(words);
  t.is(code, 0, errors);
  const lines = output.trimEnd().split('\n');
  t.deepEqual(
    lines.map((line) => JSON.parse(line).uuid),
    uuids,
  );
  t.true(JSON.parse(lines[1] ?? '').properties.includes('"n":12345678901234567890'));
  const [, token = ''] = /--after (\S+)/.exec(errors) ?? [];
  const later = event({ uuid: randomUUID() });
  await capture(t.context.silo, person.projectToken, [later]);
  const rest = await cli.run([...words, '--after', token]);
  t.is(JSON.parse(rest.output).uuid, later.uuid);
  const wrong = await cli.run([...words, '--after', 'nonsense']);
  t.is(wrong.code, 2, wrong.errors);
  t.regex(wrong.errors, /To continue with the same filters: --after nonsense/);
});

test('a tail shows the newest events, then new ones, each once, until Ctrl-C', async (t) => {
  const { cli, person, project } = await withEvents(t);
  const terminal = cli.inTerminal(['events', 'tail', project, '--limit', '1']);
  await terminal.sees('eve');
  for (const name of ['first', 'second']) {
    await capture(t.context.silo, person.projectToken, [event({ name })]);
    await terminal.sees(name);
  }
  terminal.type(keys.ctrlC);
  t.is(await terminal.ended, 130, terminal.screen());
  t.is(terminal.screen().match(/first/g)?.length, 1);
  t.is(terminal.screen().match(/eve/g)?.length, 1);
  t.notRegex(terminal.screen(), /plan=free/);
});

test('events are deleted only if a filter or --all is given and the project’s name is typed', async (t) => {
  const { cli, project } = await withEvents(t);
  const words = ['events', 'delete', project];
  const total = async () => (await cli.json(['events', 'count', project])).totalCount as unknown;
  const unnamed = await cli.run([...words, '--yes']);
  t.is(unnamed.code, 2);
  t.regex(unnamed.errors, /Say which events to delete\./);
  t.is((await cli.run([...words, '--all', '--name', 'seen', '--yes'])).code, 2);
  t.is((await cli.run([...words, '--all'])).code, 2, 'there is no terminal to prompt at');
  t.is(await total(), 3);
  const filter = ['--where', 'plan=pro', '--distinct-id', 'ada'];
  const wrong = cli.inTerminal([...words, ...filter]);
  await wrong.sees('1 event of Default Project');
  await wrong.sees('Type the project’s name to confirm:');
  wrong.type(`no${keys.enter}`);
  t.is(await wrong.ended, 7, wrong.screen());
  t.is(await total(), 3);
  const right = cli.inTerminal([...words, ...filter]);
  await right.sees('Type the project’s name to confirm:');
  right.type(`Default Project${keys.enter}`);
  t.is(await right.ended, 0, right.screen());
  t.regex(right.screen(), /Deleted\. They are now being removed from the database\./);
  t.regex(right.screen(), /project +Default Project/);
  t.notRegex(right.screen(), /evd_/);
  t.regex(right.screen(), /Nobody can read them any more \(/);
  t.is(await total(), 2);
  const answer = await cli.json([...words, '--all', '--yes', '--request-id', 'mine-1']);
  t.regex(String(answer.deletion?.id), /^evd_/);
  t.truthy(answer.propagation);
  const again = await cli.json([...words, '--all', '--yes', '--request-id', 'mine-1']);
  t.is(again.deletion?.id, answer.deletion?.id);
  t.is(await total(), 0);
  const none = cli.inTerminal([...words, '--all']);
  t.is(await none.ended, 3, 'no confirmation if there is nothing to delete');
  t.regex(none.screen(), /There is no such event in Default Project\./);
});

test('usage is shown by day and project, for an organization or one project', async (t) => {
  const { cli, person, project } = await withEvents(t);
  const { output } = await cli.run(['usage', '--days', '2']);
  t.regex(output, /^\d{4}-\d\d-\d\d {2}Default Project +3 +\d+ B$/m);
  t.regex(output, /^total +3 +\d+ B$/m);
  const usage = await cli.json(['usage', project]);
  t.like(usage, { days: [{ projectId: project, organizationId: person.organization.id }] });
  t.deepEqual(await cli.json(['usage', '--org', person.organization.id]), usage);
  t.is((await cli.run(['usage', project, '--org', 'x'])).code, 2);
  t.is((await cli.run(['usage', '--days', '0'])).code, 2);
});

test('usage names a deleted project, and says that it is deleted', async (t) => {
  const { cli, person, project } = await withEvents(t);
  await cli.json(['project', 'delete', project, '--yes']);
  const { output } = await cli.run(['usage', '--org', person.organization.id]);
  t.regex(output, /^\d{4}-\d\d-\d\d {2}Default Project \(deleted \d{4}-\d\d-\d\d\) +3 /m);
});
