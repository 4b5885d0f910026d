/**
 * Lets a few calls begin in one turn of the event loop and the others in later turns, so that a
 * burst of calls does not block the process.
 */
export class PacedTurns {
  readonly #perTurn: number;
  readonly #waiting: (() => void)[] = [];
  #begun = 0;

  constructor(perTurn: number) {
    this.#perTurn = perTurn;
  }

  /** Resolves when the call may begin, in the order of calls. */
  async wait(): Promise<void> {
    if (this.#begun++ === 0) setImmediate(() => this.#turn());
    if (this.#begun <= this.#perTurn) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #turn(): void {
    const next = this.#waiting.splice(0, this.#perTurn);
    this.#begun = next.length;
    if (next.length > 0) setImmediate(() => this.#turn());
    for (const resolve of next) resolve();
  }
}
