import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Cli, Globals } from './cli.ts';
import { account } from './commands/account.ts';
import { activity } from './commands/activity.ts';
import { complete, completion } from './commands/completion.ts';
import { doctor } from './commands/doctor.ts';
import { events } from './commands/events.ts';
import { exitCodesTopic } from './commands/exit-codes.ts';
import { finalize } from './commands/finalize.ts';
import { keys } from './commands/keys.ts';
import { login } from './commands/login.ts';
import { logout } from './commands/logout.ts';
import { members } from './commands/members.ts';
import { migrate } from './commands/migrate.ts';
import { move } from './commands/move.ts';
import { moves } from './commands/moves.ts';
import { org } from './commands/org.ts';
import { plan } from './commands/plan.ts';
import { profiles } from './commands/profiles.ts';
import { project } from './commands/project.ts';
import { projects } from './commands/projects.ts';
import { signup } from './commands/signup.ts';
import { switchProject } from './commands/switch.ts';
import { token } from './commands/token.ts';
import { undo } from './commands/undo.ts';
import { usage } from './commands/usage.ts';
import description from './package.json' with { type: 'json' };

const secretReaders = new Set(['login', 'accept']);

/** The whole command: every subcommand, and the options that all of them accept. */
export function createProgram(createCli: (globals: () => Globals) => Cli) {
  const program = new Command('silo')
    .description('Organizations, projects, tokens, events and plans of Silo.')
    .option('--json', 'one JSON document on stdout: the answer, or { "error": … }')
    .option('--ids', 'show ids beside the names')
    .option('--profile <name>', 'which stored profile; default: SILO_PROFILE, or the last chosen')
    .option('--no-color', 'no colours; the default without a terminal or with NO_COLOR')
    .option('--request-id <id>', 'repeat a change that was sent with this id: it is executed once')
    .configureHelp({ showGlobalOptions: true })
    .helpCommand('help [command]', 'what a command does, and its options')
    // Commander's complaints are thrown as errors, and shown like any other failure.
    .configureOutput({ writeErr: () => {} })
    .exitOverride()
    .version(`silo ${description.version}`, '--version', 'which release this is')
    .hook('preAction', (_, command) => {
      // silo.mjs turned the echo off in case the command reads a secret.
      const { stdin } = process;
      if (stdin.isTTY && stdin.isRaw && !secretReaders.has(command.name())) stdin.setRawMode(false);
    });
  const cli = createCli(() => program.opts());
  const commands = [
    signup(cli),
    login(cli),
    logout(cli),
    profiles(cli),
    account(cli),
    projects(cli),
    switchProject(cli),
    project(cli),
    move(cli),
    moves(cli),
    undo(cli),
    finalize(cli),
    migrate(cli),
    token(cli),
    events(cli),
    usage(cli),
    keys(cli),
    org(cli),
    members(cli),
    plan(cli),
    activity(cli),
    doctor(cli),
    completion(cli),
    exitCodesTopic(cli),
  ];
  for (const command of commands) program.addCommand(command);
  program.addCommand(complete(cli), { hidden: true });
  inherit(program);
  return program;
}

/** Subcommands that are created separately inherit how the program writes, shows help and ends. */
function inherit(parent: CommandUnknownOpts): void {
  for (const command of parent.commands) {
    command.copyInheritedSettings(parent);
    inherit(command);
  }
}
