import type { ReadStream, WriteStream } from 'node:tty';

/** The streams and environment of the command. */
export type Terminal = {
  stdin: NodeJS.ReadStream | ReadStream;
  stdout: NodeJS.WriteStream | WriteStream;
  stderr: NodeJS.WriteStream | WriteStream;
  environment: NodeJS.ProcessEnv;
  /** The working directory. */
  directory: string;
};

// The width if the output is not a terminal.
const columnsDefault = 120;

/** The number of columns of a stream. */
export function columnsOf(stream: { columns?: number | undefined }): number {
  return stream.columns || columnsDefault;
}

/**
 * Whether to show colours on a stream: it is a terminal, and colours are not turned off
 * (https://no-color.org).
 */
export function showsColour(
  stream: { isTTY?: boolean; hasColors?: (count: number, environment: object) => boolean },
  environment: NodeJS.ProcessEnv,
): boolean {
  if (!stream.isTTY || environment.NO_COLOR) return false;
  return stream.hasColors?.(16, environment) ?? false;
}
