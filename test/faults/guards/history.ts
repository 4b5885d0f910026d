import { closeSync, existsSync, openSync, readSync } from 'node:fs';

/** The answer of a guard. `unavailable`: it has no read lease, and could reach no owner. */
export type Verdict = 'refused' | 'accepted' | 'unavailable';

/** One verification by one guard; times are the machine's, in milliseconds. */
export type Verification = {
  questionId: number;
  startMs: number;
  endMs: number;
  verdict: Verdict;
  /** Whether it was answered in the same turn of the event loop. */
  isFromMemory: boolean;
};

const verdicts: readonly Verdict[] = ['refused', 'accepted', 'unavailable'];
const fromMemoryBit = 0x80;
const recordBytes = 24;
const recordsPerRead = 8_192;

/** Collects verifications as bytes, to be written before the process may be killed. */
export class HistoryBuffer {
  #bytes = Buffer.alloc(recordBytes * 1_024);
  #used = 0;

  add(
    questionId: number,
    startMs: number,
    endMs: number,
    verdict: Verdict,
    isFromMemory: boolean,
  ): void {
    if (this.#used + recordBytes > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#bytes.length)]);
    }
    this.#bytes.writeDoubleLE(startMs, this.#used);
    this.#bytes.writeDoubleLE(endMs, this.#used + 8);
    this.#bytes.writeUInt32LE(questionId, this.#used + 16);
    const code = verdicts.indexOf(verdict) | (isFromMemory ? fromMemoryBit : 0);
    this.#bytes.writeUInt32LE(code, this.#used + 20);
    this.#used += recordBytes;
  }

  /** The bytes that were added since the last call. Valid until more are added. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#used);
    this.#used = 0;
    return taken;
  }
}

/** Reads a file of taken buffers, if there is one; an incomplete last record is ignored. */
export function* readHistory(file: string): Generator<Verification> {
  if (!existsSync(file)) return;
  const opened = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(recordBytes * recordsPerRead);
    for (;;) {
      const count = fillFrom(opened, bytes);
      for (let at = 0; at + recordBytes <= count; at += recordBytes) {
        const code = bytes.readUInt32LE(at + 20);
        yield {
          startMs: bytes.readDoubleLE(at),
          endMs: bytes.readDoubleLE(at + 8),
          questionId: bytes.readUInt32LE(at + 16),
          verdict: verdicts[code & ~fromMemoryBit] ?? 'unavailable',
          isFromMemory: (code & fromMemoryBit) !== 0,
        };
      }
      if (count < bytes.length) return;
    }
  } finally {
    closeSync(opened);
  }
}

function fillFrom(opened: number, bytes: Buffer): number {
  let count = 0;
  while (count < bytes.length) {
    const read = readSync(opened, bytes, count, bytes.length - count, null);
    if (read === 0) break;
    count += read;
  }
  return count;
}
