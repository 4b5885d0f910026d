import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { migrateAccept } from '../commands/migrate-accept.ts';
import { migrateCancel } from '../commands/migrate-cancel.ts';
import { migrateRetry, migrateRollback, migrateStart } from '../commands/migrate-staff.ts';
import { explain } from '../explain.ts';
import { CallFailure } from '../failure.ts';
import { toText } from '../text.ts';

const { MIGRATION_STATE_ACCEPTED: accepted, MIGRATION_STATE_DONE: done } = MigrationState;
const { MIGRATION_STATE_COPYING: copying, MIGRATION_STATE_CANCELLED: cancelled } = MigrationState;
const { MIGRATION_STATE_FAILED: failed } = MigrationState;

const [id, originalId, projectId] = [newId('mig_us'), newId('mig_us'), newId('prj')];
const ends = { sourceRegion: 'us', destinationRegion: 'eu' };

/** The output of a command. */
async function said(
  command: { parseAsync(words: string[], from: { from: 'user' }): Promise<unknown> },
  words: string[],
  lines: string[] = [],
) {
  const failure = await command.parseAsync(words, { from: 'user' }).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (failure === undefined) return lines.join('\n');
  return toText(explain(failure).blocks, { colour: false });
}

function acceptingWith(refusal: SiloError) {
  const acceptMigration = async () => {
    throw new CallFailure(refusal, refusal, undefined);
  };
  const api = { migrations: { acceptMigration } };
  const find = { idOf: { organization: async () => newId('org_eu') } };
  return migrateAccept({
    repeatedBy: () => {},
    signedIn: async () => ({ api, find, lookUp: async () => String }),
  } as never);
}

const again: [what: string, refusal: SiloError, next: RegExp][] = [
  [
    'is accepted',
    errors.migrationState({ migrationId: id, state: accepted }),
    new RegExp(`already\\.\\nnext: +staff of this region starts it: silo migrate start ${id}\\n`),
  ],
  [
    'is accepted here, which the source does not know yet',
    errors.migrationInProgress({ projectId, migrationId: id }),
    new RegExp(`already\\.\\nnext: +staff of this region starts it: silo migrate start ${id}\\n`),
  ],
  [
    'is being copied',
    errors.migrationState({ migrationId: id, state: copying }),
    new RegExp(`already\\.\\nnext: +silo migrate watch ${id}\\n`),
  ],
  [
    'is done',
    errors.migrationState({ migrationId: id, state: done }),
    new RegExp(`already\\.\\nnext: +silo migrate show ${id}\\n`),
  ],
  [
    'was cancelled',
    errors.migrationState({ migrationId: id, state: cancelled }),
    /CANCELLED\.\nnext: +ask an admin of the source what happened to it\n/,
  ],
];

for (const [what, refusal, expected] of again) {
  test(`accepting a migration that ${what} is answered with the next step`, async (t) => {
    t.regex(await said(acceptingWith(refusal), [id]), expected);
  });
}

/** Staff of a region that has these migrations, newest first, and the output of the command. */
function staffed(...migrations: Partial<Migration>[]) {
  const lines: string[] = [];
  const calls: string[] = [];
  const records = migrations.map((each, index) =>
    Migration.fromPartial({
      ...{ id, projectId, projectName: 'Web', ...ends, ...each },
      requestTime: new Date(10 - index),
    }),
  );
  const find = (wanted: string) => records.find((each) => each.id === wanted);
  const call = async ({ migrationId, ...more }: { migrationId: string }) => {
    calls.push([migrationId, ...Object.values(more)].join(' '));
    const rollback = find(find(migrationId)?.rolledBackBy ?? '');
    return { migration: rollback ?? find(migrationId) };
  };
  const staff = {
    listMigrations: async () => ({ migrations: records }),
    getMigration: async ({ migrationId }: { migrationId: string }) => ({
      migration: find(migrationId),
    }),
    ...{ startMigration: call, rollbackMigration: call, retryMigration: call },
    cancelMigration: call,
  };
  const cli = {
    terminal: { directory: '/', environment },
    open: () => staff,
    note: (...blocks: never[]) => lines.push(toText(blocks, { colour: false })),
    repeatedBy: () => {},
    prompt: {
      confirmByTyping: async (what: string, name: string) => lines.push(`${what}: ${name}`),
    },
    answer: (_: unknown, __: unknown, blocks: never[]) => {
      lines.push(toText(blocks, { colour: false }));
    },
  };
  return { cli: cli as never, calls, lines };
}

const environment = {
  ...{ TLS_CA: 'ca', TLS_CERT: 'cert', TLS_KEY: 'key' },
  PROJECT_INTERNAL_ADDRESS: '127.0.0.1:1',
};

test('a migration that is done or being retried is not started again', async (t) => {
  const over = staffed({ state: done });
  t.regex(
    await said(migrateStart(over.cli), ['Web'], over.lines),
    new RegExp(`^error: It is done: Web, us → eu\\.\\nnext: +silo migrate show ${id} --staff\\n`),
  );
  t.deepEqual(over.calls, []);
  const open = staffed({ state: copying });
  t.regex(
    await said(migrateStart(open.cli), ['Web'], open.lines),
    /^Started already: Web, us → eu\./,
  );
  const fresh = staffed({ state: accepted });
  t.regex(await said(migrateStart(fresh.cli), ['Web'], fresh.lines), /^Started: Web, us → eu\./);
});

test('a project that is being taken back cannot be taken back again by its name', async (t) => {
  const back = { rollbackOf: originalId, sourceRegion: 'eu', destinationRegion: 'us' };
  const original = { id: originalId, state: done, rolledBackBy: id };
  const open = staffed({ ...back, state: copying }, original);
  t.regex(
    await said(migrateRollback(open.cli), ['Web', '--yes'], open.lines),
    new RegExp(
      `^error: Web is being taken back to us already\\.\\nnext: +silo migrate watch ${id} --staff\\n`,
    ),
  );
  const over = staffed({ ...back, state: done }, original);
  t.regex(
    await said(migrateRollback(over.cli), ['Web', '--yes'], over.lines),
    new RegExp(
      `^error: Web was taken back to us already\\.\\nnext: +silo migrate show ${id} --staff\\n`,
    ),
  );
  const ended = staffed({ ...back, state: cancelled }, original);
  t.regex(
    await said(migrateRollback(ended.cli), ['Web', '--yes'], ended.lines),
    new RegExp(
      `^error: Taking Web back to us was cancelled\\.\\nnext: +to try it again: silo migrate rollback ${originalId}\\n`,
    ),
  );
  for (const { calls } of [open, over, ended]) t.deepEqual(calls, []);
});

test('taking back a migration by its id reports that it is already being taken back', async (t) => {
  const back = { rollbackOf: originalId, sourceRegion: 'eu', destinationRegion: 'us' };
  const original = { id: originalId, state: done, rolledBackBy: id };
  const { cli, lines } = staffed({ ...back, state: copying }, original);
  t.regex(
    await said(migrateRollback(cli), [originalId, '--yes'], lines),
    /^Goes back already: Web, eu → us\./,
  );
});

test('a retry discards events only with the option, and after confirmation', async (t) => {
  const kept = staffed({ state: failed });
  t.regex(await said(migrateRetry(kept.cli), ['Web'], kept.lines), /^Goes on: Web, us → eu\./);
  t.deepEqual(kept.calls, [`${id} false`]);
  const asked = staffed({ state: failed });
  t.regex(
    await said(migrateRetry(asked.cli), ['Web', '--discard-unmatched'], asked.lines),
    /Events that only eu has will be removed, .* of us\. They may be the only copies\.\n\nthe project’s name: Web\nGoes on: /,
  );
  t.deepEqual(asked.calls, [`${id} true`]);
  const agreed = staffed({ state: failed });
  const words = ['Web', '--discard-unmatched', '--yes'];
  t.regex(await said(migrateRetry(agreed.cli), words, agreed.lines), /^Goes on: Web, us → eu\./);
  t.deepEqual(agreed.calls, [`${id} true`]);
});

test('before a cancellation its effect on the copied events is shown', async (t) => {
  const first = staffed({ state: copying });
  t.regex(
    await said(migrateCancel(first.cli), ['Web', '--staff'], first.lines),
    /The copied events will be removed, unless eu had events of the project before\.\n/,
  );
  const back = { rollbackOf: originalId, sourceRegion: 'eu', destinationRegion: 'us' };
  const rollback = staffed({ ...back, state: copying });
  const text = `The events in us, copied ones too, are kept until ${originalId} is purged.\n`;
  const all = await said(migrateCancel(rollback.cli), ['Web', '--staff'], rollback.lines);
  t.true(all.includes(text), all);
});
