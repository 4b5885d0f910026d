import { AbortPromptError, ExitPromptError } from '@inquirer/core';
import input from '@inquirer/input';
import password from '@inquirer/password';
import search from '@inquirer/search';
import { Failure, Interrupted, usage } from './failure.ts';
import type { Terminal } from './terminal.ts';
import { safe } from './text.ts';

/** Something to choose. */
export type Choice<Value> = {
  value: Value;
  name: string;
  /** Shown below the list while the choice is under the cursor. */
  description?: string | undefined;
};

/** Returns what is wrong with a text; undefined if it is valid. */
export type Check = (text: string) => string | undefined;

/** Prompts at the terminal. Each ends with Interrupted on Ctrl-C and Ctrl-D. */
export type Prompts = ReturnType<typeof createPrompts>;

const secretSizeMax = 4_096;

/** Prompts are written to stderr, so that stdout holds results only. */
export function createPrompts({ stdin, stderr }: Terminal, signal: AbortSignal) {
  const possible = Boolean(stdin.isTTY && stderr.isTTY);
  const context = { input: stdin, output: stderr, signal };

  /** Fails if there is no terminal; `instead` says what to do. */
  function demand(instead: string): void {
    if (!possible) throw usage(`There is no terminal for a prompt: ${instead}`);
  }

  /** Reads a line of text; an invalid one is reported at once and can be corrected. */
  async function text(
    message: string,
    instead: string,
    { check, initial }: { check?: Check | undefined; initial?: string | undefined } = {},
  ): Promise<string> {
    demand(instead);
    const validate = (typed: string) => check?.(typed.trim()) ?? true;
    const config = {
      message,
      required: true,
      validate,
      ...(initial && { default: initial, prefill: 'editable' as const }),
    };
    return (await answerOf(input(config, context), signal)).trim();
  }

  /** Reads a secret: typed without echo, or from stdin if that is not a terminal. */
  async function secret(message: string): Promise<string> {
    if (!stdin.isTTY) return readAll(stdin);
    demand('pipe the secret into stdin.');
    return (await answerOf(password({ message, toggleMask: false }, context), signal)).trim();
  }

  /** Continues only if exactly this text is typed. */
  async function confirmByTyping(what: string, expected: string): Promise<void> {
    demand('confirm with --yes.');
    const message = `Type ${what} to confirm:`;
    const typed = await answerOf(input({ message }, context), signal);
    if (typed.trim() !== expected.trim()) {
      throw new Failure('notConfirmed', 'The text does not match. Nothing was changed.');
    }
  }

  /**
   * Lets the user choose from what `find` returns for the text typed so far; the cursor begins at
   * `initial`.
   */
  async function choose<Value>(
    message: string,
    find: (term: string) => Promise<readonly Choice<Value>[]>,
    { initial, instead }: { initial?: Value | undefined; instead: string },
  ): Promise<Value> {
    demand(instead);
    const config = {
      message,
      pageSize: 12,
      source: async (term: string | undefined) =>
        (await find(term ?? '')).map(({ value, name, description }) => ({
          value,
          name: safe(name),
          ...(description && { description: safe(description) }),
        })),
      ...(initial !== undefined && { default: initial }),
    };
    return answerOf(search<Value>(config, context), signal);
  }

  return { possible, text, secret, confirmByTyping, choose };
}

/** Waits for an answer; Ctrl-C, Ctrl-D and signals end the wait with Interrupted. */
async function answerOf<Value>(question: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const closed = Promise.withResolvers<never>();
  const onIdle = () => closed.reject(new Interrupted('SIGINT'));
  // At the end of input the prompt never settles, and Node runs out of work.
  process.once('beforeExit', onIdle);
  try {
    return await Promise.race([question, closed.promise]);
  } catch (error) {
    if (error instanceof AbortPromptError) signal.throwIfAborted();
    if (error instanceof ExitPromptError) throw new Interrupted('SIGINT');
    throw error;
  } finally {
    process.removeListener('beforeExit', onIdle);
  }
}

async function readAll(stream: AsyncIterable<Buffer | string>): Promise<string> {
  let text = '';
  for await (const chunk of stream) {
    text += chunk;
    if (text.length > secretSizeMax) throw usage('stdin holds more than a secret.');
  }
  return text.trim();
}
