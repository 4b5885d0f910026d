import { isServiceError } from '@silo/errors/from-status.ts';
import { Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { toJson } from '@silo/protos/json.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import type { Cli } from '../cli.ts';
import { exitOfRefusal, exitOfSilence } from '../exit-codes.ts';
import { Answered, CallFailure, Failure } from '../failure.ts';
import { type FoundMigration, findMigration, type MigrationOptions } from '../find-migration.ts';
import { isOpen, nextBlocks, progressLine, sharePercent } from '../render/migrations.ts';
import { whereOf } from '../staff.ts';
import { columnsOf, showsColour } from '../terminal.ts';
import { cut, toText } from '../text.ts';
import { withScope } from './migration-options.ts';

// A service that restarts answers again within a minute, even on a busy machine.
const breaksMax = 60;
const pauseMs = 1_000;
const eraseLine = '\r\u001b[2K';

export function migrateWatch(cli: Cli) {
  return withScope('watch')
    .description('Show the progress of a migration until it ends.')
    .argument('[migration]', 'its id, or the project; default: the current project')
    .action(async (given, options) => {
      const found = await findMigration(cli, given, options);
      const last = await follow(cli, found, await callerOf(cli, options));
      if (!cli.globals().json) {
        if (last.failure !== '') cli.note(last.failure);
        cli.note(...nextBlocks(last));
      }
      if (last.state !== MigrationState.MIGRATION_STATE_DONE) throw new Answered('refused');
    });
}

/**
 * The region that is called, as shown to people, and the options that call it again: empty, or
 * beginning with a space.
 */
type Caller = { region: string; options: string };

async function callerOf(cli: Cli, options: MigrationOptions): Promise<Caller> {
  if (options.staff) return { region: 'The region', options: ` --staff${whereOf(options)}` };
  const { profile } = await cli.signedIn();
  const name = cli.globals().profile;
  return {
    region: `The region ${profile.region}`,
    options: name === undefined ? '' : ` --profile ${name}`,
  };
}

/**
 * Shows each change; continues after a break, such as the restart of a service.
 * @internal Exported for tests.
 */
export async function follow(
  cli: Pick<Cli, 'terminal' | 'globals' | 'signal'>,
  {
    migration,
    scope,
  }: Pick<FoundMigration, 'migration'> & {
    scope: Pick<FoundMigration['scope'], 'watch'>;
  },
  caller: Caller,
  sleep = systemSleep,
): Promise<Migration> {
  using shown = shower(cli);
  let last = migration;
  let breaks = 0;
  for (;;) {
    try {
      for await (const { migration: now } of scope.watch(migration.id)) {
        if (now === undefined) continue;
        breaks = 0;
        last = now;
        shown.show(last);
      }
      if (!isOpen(last)) return last;
    } catch (error) {
      cli.signal.throwIfAborted();
      if (!isBreak(error)) throw error;
      if (++breaks > breaksMax) throw isSilence(error) ? unanswered(migration.id, caller) : error;
    }
    await sleep(pauseMs, cli.signal);
  }
}

function unanswered(migrationId: string, { region, options }: Caller): Failure {
  return new Failure(
    'unavailable',
    `${region} has not answered for a minute. The migration continues without this command, once both regions run.`,
    `silo migrate watch ${migrationId}${options}, when it runs again`,
  );
}

/** Whether another attempt may succeed. */
function isBreak(error: unknown): boolean {
  if (!(error instanceof CallFailure)) return false;
  return error.refusal === undefined || exitOfRefusal(error.refusal) === 'unavailable';
}

/** Whether the call ended without an answer of Silo; that may pass. */
function isSilence(error: unknown): boolean {
  if (!(error instanceof CallFailure) || error.refusal !== undefined) return false;
  const { cause } = error;
  return isServiceError(cause) && exitOfSilence(cause.code, cause.details) === 'unavailable';
}

/** Disposing it ends the line, so that the next output, such as an error, begins a new one. */
type Shower = Disposable & { show(migration: Migration): void };

/**
 * In a terminal, redraws one line; elsewhere, writes a line for each state and each tenth of the
 * copy.
 */
function shower(cli: Pick<Cli, 'terminal' | 'globals'>): Shower {
  const { stdout, environment } = cli.terminal;
  const colour = showsColour(stdout, environment);
  const undrawn = { [Symbol.dispose]: () => {} };
  if (cli.globals().json) {
    const show = (migration: Migration) =>
      stdout.write(`${JSON.stringify(toJson(Migration, migration))}\n`);
    return { show, ...undrawn };
  }
  if (stdout.isTTY) {
    let isDrawn = false;
    return {
      show: (migration) => {
        const line = toText([progressLine(migration)], { colour }).trimEnd();
        // A line wider than the terminal could not be erased when it is drawn again.
        const shown = colour ? line : cut(line, columnsOf(stdout) - 1);
        isDrawn = isOpen(migration);
        stdout.write(`${eraseLine}${shown}${isDrawn ? '' : '\n'}`);
      },
      [Symbol.dispose]: () => {
        if (isDrawn) stdout.write('\n');
      },
    };
  }
  let before = '';
  const show = (migration: Migration) => {
    const now = `${migration.state} ${Math.floor((sharePercent(migration) ?? 0) / 10)}`;
    if (now !== before) stdout.write(toText([progressLine(migration)], { colour }));
    before = now;
  };
  return { show, ...undrawn };
}
