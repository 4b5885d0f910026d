import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

const exitWithinMs = 15_000;

/** A child process that serves its parent, and ends with it. */
export type Forked<Message> = AsyncDisposable & {
  pid: number;
  /** Its first message, sent when it was ready. */
  ready: Message;
  /** Sends it a message, and resolves with its next message. */
  request(message: unknown): Promise<Message>;
};

/** Starts a file, with `options` as its only argument, and awaits its first message. */
export async function startForked<Message>(file: URL, options: unknown): Promise<Forked<Message>> {
  const child = fork(file, [JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`${file} ended with ${code ?? signal}`);
  });
  ended.catch(() => {});
  const next = async (): Promise<Message> => {
    const [message]: Message[] = await Promise.race([once(child, 'message'), ended]);
    if (message === undefined) throw new Error(`${file} sent no message`);
    return message;
  };
  const stop = () => stopped(child);
  try {
    const ready = await next();
    const request = (message: unknown) => {
      const answer = next();
      child.send(message as object);
      return answer;
    };
    return { pid: child.pid ?? Number.NaN, ready, request, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Lets it exit by itself, within a time limit. */
async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  const timer = setTimeout(() => child.kill('SIGKILL'), exitWithinMs);
  if (child.connected) child.disconnect();
  await exited.finally(() => clearTimeout(timer));
}
