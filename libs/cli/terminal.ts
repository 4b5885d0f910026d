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

// Where there is no terminal that could be too narrow.
const columnsDefault = 120;

/** How many columns a stream shows. */
export function columnsOf(stream: { columns?: number | undefined }): number {
  return stream.columns || columnsDefault;
}

/** Whether a stream shows colours: a terminal, and nobody said otherwise (https://no-color.org). */
export function showsColour(
  stream: { isTTY?: boolean; hasColors?: (count: number, environment: object) => boolean },
  environment: NodeJS.ProcessEnv,
): boolean {
  if (!stream.isTTY || environment.NO_COLOR) return false;
  return stream.hasColors?.(16, environment) ?? false;
}
