import {
  chmodSync,
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';

const defaultBytesMax = 16 * 1024 * 1024;
const tailBytesMax = 8 * 1024;
const rotationCheckMs = 1_000;

/**
 * The log of a child process, readable by its owner only. It takes at most about twice `bytesMax`:
 * a log that grows beyond that is rotated to `<path>.1`. Processes may append to `descriptor`
 * during the rotation.
 */
export class LogFile implements Disposable {
  readonly path: string;
  readonly descriptor: number;
  readonly #bytesMax: number;
  readonly #timer: NodeJS.Timeout;
  /** The offset at which this run of the process begins. */
  #start: number;

  constructor(path: string, bytesMax = defaultBytesMax) {
    this.path = path;
    this.#bytesMax = bytesMax;
    // Opened for appending, so that a process writes at the new end after the file was truncated.
    this.descriptor = openSync(path, 'a+', 0o600);
    // The file may come from a release that let others read it.
    chmodSync(path, 0o600);
    this.#start = fstatSync(this.descriptor).size;
    this.rotateIfFull();
    this.#timer = setInterval(() => this.rotateIfFull(), rotationCheckMs).unref();
  }

  write(line: string): void {
    writeSync(this.descriptor, `${line}\n`);
  }

  /** Lines that are written between the copy and the truncation are lost. */
  rotateIfFull(): void {
    if (fstatSync(this.descriptor).size <= this.#bytesMax) return;
    const previous = `${this.path}.1`;
    writeFileSync(previous, this.#end(this.#bytesMax), { mode: 0o600 });
    chmodSync(previous, 0o600);
    ftruncateSync(this.descriptor);
    this.#start = 0;
  }

  /** The last lines of this run of the process, at most 8 KiB. */
  tail(): string {
    const written = fstatSync(this.descriptor).size - this.#start;
    if (written <= 0) return '(empty)';
    return this.#end(Math.min(written, tailBytesMax)).toString('utf8').trimEnd();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    closeSync(this.descriptor);
  }

  #end(bytesMax: number): Buffer {
    const { size } = fstatSync(this.descriptor);
    const length = Math.min(size, bytesMax);
    const buffer = Buffer.alloc(length);
    const read = readSync(this.descriptor, buffer, 0, length, size - length);
    return buffer.subarray(0, read);
  }
}
