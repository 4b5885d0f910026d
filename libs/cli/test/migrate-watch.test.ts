import { Metadata, status } from '@grpc/grpc-js';
import { errors } from '@silo/errors/errors.ts';
import { Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import test from 'ava';
import { follow } from '../commands/migrate-watch.ts';
import { CallFailure, Failure } from '../failure.ts';

const { MIGRATION_STATE_COPYING: copying, MIGRATION_STATE_DONE: done } = MigrationState;
const migration = Migration.fromPartial({ id: 'mig_us_1', projectName: 'Web', state: copying });

const details =
  'No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:7102. Resolution note: ';
const cause = Object.assign(new Error(`14 UNAVAILABLE: ${details}`), {
  ...{ code: status.UNAVAILABLE, details, metadata: new Metadata() },
});
const silence = new CallFailure(cause, undefined, undefined);

/**
 * Watches a migration in a terminal. The streams end with these values, the last one repeatedly;
 * pauses take no time.
 */
function watch(streams: (Migration | Error)[]) {
  const written: string[] = [];
  const stdout = { isTTY: true, columns: 80, write: (text: string) => written.push(text) };
  const cli = {
    ...{ signal: new AbortController().signal, globals: () => ({ color: false }) },
    terminal: { stdout, environment: { NO_COLOR: '1' } },
  };
  let calls = 0;
  const scope = {
    async *watch() {
      const next = streams[Math.min(calls++, streams.length - 1)];
      if (next instanceof Error) throw next;
      yield { migration: next };
    },
  };
  const caller = { region: 'The region eu', options: ' --profile eu' };
  const last = follow(cli as never, { migration, scope }, caller, async () => {});
  return { last, written, calls: () => calls };
}

test('a watch continues after broken connections', async (t) => {
  const { last } = watch([silence, migration, silence, { ...migration, state: done }]);
  t.is((await last).state, done);
});

test('a watch of a silent region ends with the region and the command to repeat', async (t) => {
  const { last, written, calls } = watch([migration, silence]);
  const failure = await t.throwsAsync(last, { instanceOf: Failure });
  t.regex(failure?.message ?? '', /^The region eu has not answered for a minute\./);
  t.notRegex(failure?.message ?? '', /ECONNREFUSED|connection|Resolution/);
  t.is(failure?.next, 'silo migrate watch mig_us_1 --profile eu, when it runs again');
  t.is(failure?.exit, 'unavailable');
  t.is(written.at(-1), '\n', 'the error begins a line');
  t.is(calls(), 62);
});

test('a watch that is refused shows the refusal', async (t) => {
  const refusal = errors.migrationNotFound('mig_us_1');
  const { last } = watch([new CallFailure(refusal, refusal, undefined)]);
  t.is((await t.throwsAsync(last, { instanceOf: CallFailure }))?.refusal, refusal);
});
