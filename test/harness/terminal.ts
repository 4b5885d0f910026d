import pty from '@lydell/node-pty';
import headless from '@xterm/headless';
import { eventually } from './eventually.ts';

/** A program in a real terminal, with its screen and its input. */
export type TerminalRun = {
  /** The lines on the screen, and those that scrolled away. */
  screen(): string;
  /** Everything that was written, escape sequences included. */
  raw(): string;
  /** Waits until the screen shows this. */
  sees(what: string | RegExp): Promise<void>;
  /** Waits until the screen no longer shows this. */
  misses(what: string): Promise<void>;
  type(keys: string): void;
  /** Its exit code, once it has ended; rejects, and ends it, if it takes too long. */
  ended: Promise<number>;
};

export const keys = {
  enter: '\r',
  tab: '\t',
  ctrlC: '\u0003',
  ctrlD: '\u0004',
  eraseLine: '\u0015',
} as const;

const size = { cols: 140, rows: 50 };
const seenWithinMs = 120_000;
const endsWithinMs = 300_000;

/** Starts a program in its own terminal. */
export function openTerminal(
  file: string,
  args: string[],
  {
    directory,
    environment,
    columns = size.cols,
  }: { directory: string; environment: Record<string, string>; columns?: number },
): TerminalRun {
  const shape = { ...size, cols: columns };
  const child = pty.spawn(file, args, { ...shape, cwd: directory, env: environment });
  const terminal = new headless.Terminal({ ...shape, scrollback: 1_000, allowProposedApi: true });
  let raw = '';
  child.onData((data) => {
    raw += data;
    terminal.write(data);
  });
  // The terminal's answers to queries, such as the position of the cursor.
  terminal.onData((answer) => child.write(answer));
  const screen = () => {
    const { active } = terminal.buffer;
    const lines = Array.from({ length: active.length }, (_, at) =>
      active.getLine(at)?.translateToString(true),
    );
    return lines.join('\n').trimEnd();
  };
  const ended = new Promise<number>((done, fail) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail(new Error(`${args.join(' ')} does not end, and shows:\n${screen()}`));
    }, endsWithinMs);
    child.onExit(({ exitCode, signal }) => {
      clearTimeout(timer);
      // Everything that was written is then on the screen.
      terminal.write('', () => done(signal ? 128 + signal : exitCode));
    });
  });
  ended.catch(() => {}); // its awaiters get the error
  const shows = (what: string | RegExp) =>
    typeof what === 'string' ? screen().includes(what) : what.test(screen());
  const demand = (isSo: () => boolean, complaint: string) =>
    eventually(() => {
      if (!isSo()) throw new Error(`${complaint}:\n${screen()}`);
    }, seenWithinMs);
  return {
    screen,
    raw: () => raw,
    sees: (what) => demand(() => shows(what), `${what} is not shown, but`),
    misses: (what) => demand(() => !shows(what), `${what} is still shown`),
    type: (text) => child.write(text),
    ended,
  };
}
