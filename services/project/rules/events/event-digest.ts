import { hash } from 'node:crypto';

/** 32 bits each, the most significant ones first. */
const wordCount = 4;
const wordSize = 2 ** 32;
/** Sums of fewer words are exact as numbers. */
const carriedEvery = 2 ** 20;
/** Of the last document that was hashed. */
const lastHash = Buffer.alloc(32);

/**
 * Count and hash of a set of documents: the sum, modulo 2^128, of the first 16 bytes of each one's
 * SHA-256. It is the same in whatever order they are added, and each can be taken out again.
 */
export class EventDigest {
  #count = 0;
  readonly #words: number[] = Array.from({ length: wordCount }, () => 0);
  #changes = 0;

  /** The digest that another process, or the database, has. */
  static from({ count = 0, hash: sum }: { count?: number | undefined; hash: Uint8Array }) {
    const digest = new EventDigest();
    digest.#change(Buffer.from(sum), count, 1);
    return digest;
  }

  /** That of documents, as they are stored. */
  static of(documents: Iterable<Uint8Array>): EventDigest {
    const digest = new EventDigest();
    for (const document of documents) digest.add(document);
    return digest;
  }

  add(document: Uint8Array): void {
    this.#change(hashOf(document), 1, 1);
  }

  /** Takes a document out, which is one of them. */
  remove(document: Uint8Array): void {
    this.#change(hashOf(document), 1, -1);
  }

  /** Adds all documents of another digest. */
  include(other: EventDigest): void {
    this.#change(other.hash, other.count, 1);
  }

  get count(): number {
    return this.#count;
  }

  /** 16 bytes, big-endian. */
  get hash(): Buffer {
    this.#carry();
    const sum = Buffer.alloc(4 * wordCount);
    for (const [index, word] of this.#words.entries()) sum.writeUInt32BE(word, 4 * index);
    return sum;
  }

  equals(other: EventDigest): boolean {
    return this.#count === other.count && this.hash.equals(other.hash);
  }

  #change(bytes: Buffer, count: number, sign: 1 | -1): void {
    for (let index = 0; index < wordCount; index++) {
      this.#words[index] = (this.#words[index] ?? 0) + sign * bytes.readUInt32BE(4 * index);
    }
    this.#count += sign * count;
    if (++this.#changes === carriedEvery) this.#carry();
  }

  #carry(): void {
    let carried = 0;
    for (let index = wordCount - 1; index >= 0; index--) {
      const word = (this.#words[index] ?? 0) + carried;
      carried = Math.floor(word / wordSize);
      this.#words[index] = word - carried * wordSize;
    }
    this.#changes = 0;
  }
}

/** Its bytes are there until the next call: a buffer for each takes Node twice as long as a string. */
function hashOf(document: Uint8Array): Buffer {
  lastHash.write(hash('sha256', document, 'binary'), 'binary');
  return lastHash;
}
