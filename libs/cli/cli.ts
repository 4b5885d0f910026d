import { type Encoder, toJson } from '@silo/protos/json.ts';
import { type Api, openApi } from './api.ts';
import { findDevelopment } from './deployment.ts';
import { Failure } from './failure.ts';
import { createFind, type Find } from './find.ts';
import { createLookUp, type LookUp, namesFrom } from './names.ts';
import type { Patience } from './patient.ts';
import { type Deployment, type Profile, Profiles } from './profiles.ts';
import { lineProgress, noProgress } from './progress.ts';
import { createPrompts, type Prompts } from './prompt.ts';
import { showsColour, type Terminal } from './terminal.ts';
import { type Block, toText } from './text.ts';

/** The options that every command accepts. */
export type Globals = {
  json?: true | undefined;
  ids?: true | undefined;
  profile?: string | undefined;
  color: boolean;
  requestId?: string | undefined;
};

/** The profile that the command uses. */
type Session = {
  name: string;
  profile: Profile;
  api: Api;
  find: Find;
  /** Looks up names to show to people; scripts get ids, so nothing is looked up for them. */
  lookUp: LookUp;
};

/** What each command receives. */
export type Cli = {
  terminal: Terminal;
  globals(): Globals;
  profiles: Profiles;
  prompt: Prompts;
  /** Aborts with Interrupted when the command shall end. */
  signal: AbortSignal;
  /** Connects with the chosen profile. */
  signedIn(): Promise<Session>;
  /** Connects to a deployment without a profile; closed at the end. */
  connect(deployment: Deployment, apiKey?: string): Api;
  /** Opens any other client with the retry policy of this command; closed at the end. */
  open<Opened extends Disposable>(opening: (patience: Patience) => Opened): Opened;
  /**
   * Writes the answer to stdout: for people as blocks, with `--json` as the message's proto3-JSON.
   */
  answer<Message>(encoder: Encoder<Message>, message: Message, blocks: readonly Block[]): void;
  /** The same for an answer that is not a message. */
  answerPlain(json: object, blocks: readonly Block[]): void;
  /** Writes a part of an answer that arrives in parts to stdout, for people only. */
  show(...blocks: Block[]): void;
  /** Writes to stderr what is not part of the answer, for people only. */
  note(...blocks: Block[]): void;
  /** Sets the command line that repeats the same request if its outcome stays unknown. */
  repeatedBy(...words: string[]): void;
  /** That command line, if one was set. */
  repetition(): string | undefined;
};

/** The context of one run; `opened` collects what must be closed at its end. */
export function createCli(
  terminal: Terminal,
  globals: () => Globals,
  { signal, opened }: { signal: AbortSignal; opened: DisposableStack },
): Cli {
  const { stdout, stderr, environment, directory } = terminal;
  const profiles = new Profiles(environment);
  const prompt = createPrompts(terminal, signal);
  let session: Promise<Session> | undefined;
  let repetition: string | undefined;

  const textFor = (stream: Terminal['stdout'], blocks: readonly Block[]) =>
    toText(blocks, {
      colour: showsColour(stream, environment),
      ids: globals().ids ?? false,
      profile: globals().profile,
      // Do not wrap lines when the output is not a terminal.
      columns: stream.isTTY ? stream.columns : undefined,
    });
  const note = (...blocks: Block[]) => {
    stderr.write(textFor(stderr, blocks));
  };
  const open = <Opened extends Disposable>(opening: (patience: Patience) => Opened) => {
    const patience: Patience = {
      signal,
      requestId: globals().requestId,
      progress: stderr.isTTY ? lineProgress(stderr) : noProgress,
    };
    return opened.use(opening(patience));
  };
  const connect = (deployment: Deployment, apiKey?: string) =>
    open((patience) => openApi(deployment, apiKey, patience));
  const signIn = async (): Promise<Session> => {
    const name = globals().profile ?? (environment.SILO_PROFILE || (await profiles.current()));
    const profile = name === undefined ? undefined : await profiles.read(name);
    if (name === undefined || profile === undefined) {
      const isDevelopment = (await findDevelopment(directory, environment)) !== undefined;
      throw notSignedIn(name, await profiles.names(), isDevelopment);
    }
    if (profile.rolling) {
      const text = `A roll of your key was interrupted: silo keys roll ${profile.rolling.keyId} completes it.`;
      note({ text, hasCommands: true });
    }
    const api = connect(profile, profile.apiKey);
    const lookUp: LookUp = globals().json
      ? async () => namesFrom(new Map())
      : createLookUp(api, profile.account);
    return { name, profile, api, find: createFind(api, prompt, profile.region), lookUp };
  };
  const write = (json: () => unknown, blocks: readonly Block[]) => {
    if (globals().json) stdout.write(`${JSON.stringify(json(), undefined, 2)}\n`);
    else stdout.write(textFor(stdout, blocks));
  };
  return {
    terminal,
    globals,
    profiles,
    prompt,
    signal,
    connect,
    open,
    signedIn: () => {
      session ??= signIn();
      return session;
    },
    answer: (encoder, message, blocks) => write(() => toJson(encoder, message), blocks),
    answerPlain: (json, blocks) => write(() => json, blocks),
    repeatedBy: (...words) => {
      const { profile } = globals();
      repetition = ['silo', ...words, ...(profile ? ['--profile', profile] : [])].join(' ');
    },
    repetition: () => repetition,
    show: (...blocks) => {
      stdout.write(textFor(stdout, blocks));
    },
    note,
  };
}

function notSignedIn(name: string | undefined, names: readonly string[], isDevelopment: boolean) {
  const login = isDevelopment
    ? 'silo signup --dev, or silo login --dev'
    : 'silo signup --help, or silo login --help where you have a key';
  if (name !== undefined) {
    const next = names.length > 0 ? `there are: ${names.join(', ')}; or ${login}` : login;
    return new Failure('hidden', `There is no profile "${name}".`, next);
  }
  if (names.length === 0) return new Failure('hidden', 'You are not signed in.', login);
  const next = `silo profiles use NAME, or --profile NAME, of: ${names.join(', ')}`;
  return new Failure('usage', 'There are several profiles, and none is chosen.', next);
}
