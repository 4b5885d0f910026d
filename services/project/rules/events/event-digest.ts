import { hash } from 'node:crypto';

/** Words of 32 bits, most significant first. */
const wordCount = 4;
const wordSize = 2 ** 32;
/** Sums of fewer words are exact as numbers. */
const carriedEvery = 2 ** 20;
/** The hash of the last hashed document. */
const lastHash = Buffer.alloc(32);

/**
 * Count and hash of a set of documents: the sum, modulo 2^128, of the first 16 bytes of each
 * document's SHA-256. It does not depend on the order of additions, and documents can be removed.
 */
export class EventDigest {
  #count = 0;
  readonly #words: number[] = Array.from({ length: wordCount }, () => 0);
  #changes = 0;

  /** The digest with a count and hash from another process or the database. */
  static from({ count = 0, hash: sum }: { count?: number | undefined; hash: Uint8Array }) {
    const digest = new EventDigest();
    digest.#change(Buffer.from(sum), count, 1);
    return digest;
  }

  /** The digest of stored documents. */
  static of(documents: Iterable<Uint8Array>): EventDigest {
    const digest = new EventDigest();
    for (const document of documents) digest.add(document);
    return digest;
  }

  add(document: Uint8Array): void {
    this.#change(hashOf(document), 1, 1);
  }

  /** Removes a document of the set. */
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

/** Valid until the next call: for Node, a new buffer takes twice as long as a string. */
function hashOf(document: Uint8Array): Buffer {
  lastHash.write(hash('sha256', document, 'binary'), 'binary');
  return lastHash;
}
