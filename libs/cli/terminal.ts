import type { ReadStream, WriteStream } from 'node:tty';

/** Where the command reads and writes. */
export type Terminal = {
  stdin: NodeJS.ReadStream | ReadStream;
  stdout: NodeJS.WriteStream | WriteStream;
  stderr: NodeJS.WriteStream | WriteStream;
  environment: NodeJS.ProcessEnv;
  /** The working directory. */
  directory: string;
};

/** Whether a stream shows colours: a terminal, and nobody said otherwise (https://no-color.org). */
export function showsColour(
  stream: { isTTY?: boolean; hasColors?: (count: number, environment: object) => boolean },
  environment: NodeJS.ProcessEnv,
): boolean {
  if (!stream.isTTY || environment.NO_COLOR) return false;
  return stream.hasColors?.(16, environment) ?? false;
}
