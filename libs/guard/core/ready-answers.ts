import type { TokenAnswer } from '@silo/access/access.ts';
import { secretLength } from '@silo/tokens/secrets.ts';
import type { Derived } from './fact-table.ts';

const wholeWords = Math.floor(secretLength / 4);
const keyWords = wholeWords + 1;
/** Index of the word that is set to `used` when the token was looked up. */
const usedWord = keyWords;
/** One bit for the facts of tokens, one for those of projects; each table clears its own. */
const usedBits = { ofToken: 1, ofProject: 2 };
const used = usedBits.ofToken | usedBits.ofProject;
/** A slot has the size of a cache line: 64 bytes. */
const slotWords = 16;
const slotsMin = 1_024;
/** At this load, a hit examines about two slots with linear probing (Knuth, TAOCP 3, §6.4). */
const loadMax = 0.7;

/**
 * Ready answers by token. Tokens are stored four characters to a word in the slots of an
 * open-addressing table, so that a hit reads three places in memory. A Map of strings reads more,
 * and with a million tokens, which fit into no cache, these reads are the cost of a lookup
 * (decision 008). Text that is not ASCII or does not have a secret's length is never stored.
 * The caller that sets an answer must end it when a fact behind it ends.
 */
export class ReadyAnswers {
  readonly #key = new Int32Array(keyWords);
  readonly #tokensOf = new Map<string, string[]>();
  #slots = new Int32Array(0);
  #answers: (TokenAnswer | undefined)[] = [];
  #projectIds: (string | undefined)[] = [];
  #mask = 0;
  #size = 0;

  constructor() {
    this.#allocate(slotsMin);
  }

  get size(): number {
    return this.#size;
  }

  get(token: string): TokenAnswer | undefined {
    const slot = this.#find(token);
    if (slot === undefined) return undefined;
    const at = slot * slotWords + usedWord;
    // Read before it is written: most slots are marked already, and a write costs more.
    if (this.#slots[at] !== used) this.#slots[at] = used;
    return this.#answers[slot];
  }

  /** Sets the answer of a token that has none. */
  set(token: string, projectId: string, answer: TokenAnswer): void {
    if (!this.#pack(token)) return;
    if (this.#size >= (this.#mask + 1) * loadMax) this.#grow();
    this.#put(this.#key, 0, answer, projectId);
    this.#size++;
    const tokens = this.#tokensOf.get(projectId);
    if (tokens === undefined) this.#tokensOf.set(projectId, [token]);
    else tokens.push(token);
  }

  delete(token: string): void {
    const slot = this.#find(token);
    if (slot === undefined) return;
    const projectId = this.#projectIds[slot] ?? '';
    this.#empty(slot);
    this.#size--;
    const others = this.#tokensOf.get(projectId)?.filter((other) => other !== token) ?? [];
    if (others.length > 0) this.#tokensOf.set(projectId, others);
    else this.#tokensOf.delete(projectId);
  }

  /** Deletes the answers of all tokens of a project. */
  endProject(projectId: string): void {
    for (const token of this.#tokensOf.get(projectId) ?? []) this.delete(token);
  }

  clear(): void {
    this.#tokensOf.clear();
    this.#allocate(slotsMin);
  }

  /** Whether the token was looked up since the last call. */
  takeUsed(token: string): boolean {
    return this.#takeUsed(token, usedBits.ofToken);
  }

  /** The same answers by project: while they are used, the project's fact is kept. */
  readonly byProject: Derived = {
    takeUsed: (projectId) => {
      let isUsed = false;
      for (const token of this.#tokensOf.get(projectId) ?? []) {
        if (this.#takeUsed(token, usedBits.ofProject)) isUsed = true;
      }
      return isUsed;
    },
    delete: (projectId) => this.endProject(projectId),
    clear: () => this.clear(),
  };

  #takeUsed(token: string, bit: number): boolean {
    const slot = this.#find(token);
    if (slot === undefined) return false;
    const at = slot * slotWords + usedWord;
    const bits = this.#slots[at] ?? 0;
    this.#slots[at] = bits & ~bit;
    return (bits & bit) !== 0;
  }

  /** Packs the token into the key; false if it cannot be stored. */
  #pack(token: string): boolean {
    if (token.length !== secretLength) return false;
    const key = this.#key;
    let all = 0;
    let at = 0;
    for (let word = 0; word < wholeWords; word++, at += 4) {
      const a = token.charCodeAt(at);
      const b = token.charCodeAt(at + 1);
      const c = token.charCodeAt(at + 2);
      const d = token.charCodeAt(at + 3);
      all |= a | b | c | d;
      key[word] = a | (b << 8) | (c << 16) | (d << 24);
    }
    let last = 1; // never 0, which marks an empty slot
    for (; at < secretLength; at++) {
      const code = token.charCodeAt(at);
      all |= code;
      last = (last << 8) | code;
    }
    key[wholeWords] = last;
    return all < 128;
  }

  #find(token: string): number | undefined {
    if (!this.#pack(token)) return undefined;
    const slots = this.#slots;
    const key = this.#key;
    for (let slot = this.#home(key, 0); ; slot = (slot + 1) & this.#mask) {
      const start = slot * slotWords;
      if (slots[start + wholeWords] === 0) return undefined;
      let word = 0;
      while (word < keyWords && slots[start + word] === key[word]) word++;
      if (word === keyWords) return slot;
    }
  }

  /**
   * Tokens are random, so a few of their words, mixed like the end of MurmurHash3, are enough for a
   * hash.
   */
  #home(words: Int32Array, start: number): number {
    const a = words[start + 1] ?? 0;
    const b = words[start + 2] ?? 0;
    const c = words[start + 3] ?? 0;
    let hash = Math.imul(a ^ Math.imul(b, 0x9e3779b1), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13) ^ c, 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) & this.#mask;
  }

  #put(
    words: Int32Array,
    start: number,
    answer: TokenAnswer | undefined,
    projectId: string | undefined,
  ): void {
    let slot = this.#home(words, start);
    while (this.#isTaken(slot)) slot = (slot + 1) & this.#mask;
    const to = slot * slotWords;
    for (let word = 0; word < keyWords; word++) this.#slots[to + word] = words[start + word] ?? 0;
    this.#answers[slot] = answer;
    this.#projectIds[slot] = projectId;
  }

  #isTaken(slot: number): boolean {
    return this.#slots[slot * slotWords + wholeWords] !== 0;
  }

  /** Moves later entries up that would no longer be found (Knuth, TAOCP 3, §6.4, algorithm R). */
  #empty(slot: number): void {
    const mask = this.#mask;
    let gap = slot;
    for (let at = (gap + 1) & mask; this.#isTaken(at); at = (at + 1) & mask) {
      const home = this.#home(this.#slots, at * slotWords);
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      this.#slots.copyWithin(gap * slotWords, at * slotWords, (at + 1) * slotWords);
      this.#answers[gap] = this.#answers[at];
      this.#projectIds[gap] = this.#projectIds[at];
      gap = at;
    }
    this.#slots.fill(0, gap * slotWords, (gap + 1) * slotWords);
    this.#answers[gap] = undefined;
    this.#projectIds[gap] = undefined;
  }

  #grow(): void {
    const slots = this.#slots;
    const answers = this.#answers;
    const projectIds = this.#projectIds;
    const size = this.#size;
    this.#allocate(answers.length * 2);
    this.#size = size;
    for (const [slot, answer] of answers.entries()) {
      if (answer !== undefined) this.#put(slots, slot * slotWords, answer, projectIds[slot]);
    }
  }

  #allocate(slots: number): void {
    this.#slots = new Int32Array(slots * slotWords);
    this.#answers = new Array(slots).fill(undefined);
    this.#projectIds = new Array(slots).fill(undefined);
    this.#mask = slots - 1;
    this.#size = 0;
  }
}
