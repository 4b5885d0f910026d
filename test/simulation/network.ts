import type { Machine } from './machine.ts';
import type { World } from './world.ts';

/** What a machine can be disconnected from. */
export type Link = 'nats' | 'registry' | 'sources';

/** Messages between machines: late, lost, twice, out of order. */
export class Network {
  readonly #world: World;
  readonly #cuts = new Set<string>();
  isFaulty = true;

  constructor(world: World) {
    this.#world = world;
  }

  cut(machine: Machine, link: Link, durationMs: number): void {
    const key = `${machine.name} ${link}`;
    if (this.#cuts.has(key)) return;
    this.#world.trace(() => `${machine.name} cut off from ${link} for ${Math.round(durationMs)}ms`);
    this.#cuts.add(key);
    this.#world.timeline.after(durationMs, () => this.#cuts.delete(key));
  }

  heal(): void {
    this.isFaulty = false;
    this.#cuts.clear();
  }

  /** One message of core NATS to one machine. */
  publish(machine: Machine, receive: () => void, from: Machine = machine): void {
    const { random, profile } = this.#world;
    const copies = this.isFaulty && random.chance(profile.duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#isCut(from, 'nats') || this.#isLost(machine, 'nats', profile.natsLoss)) continue;
      this.#world.timeline.after(this.delayMs('publish'), () => {
        if (!this.#isCut(machine, 'nats')) machine.run(receive);
      });
    }
  }

  /**
   * A call from a machine. `serve` runs where the call arrives: once, twice or never. The caller
   * gets an answer, or undefined after its timeout.
   */
  call<Reply>(
    from: Machine,
    link: Link,
    kind: string,
    timeoutMs: number,
    serve: (reply: (value: Reply | undefined) => void) => void,
    done: (value: Reply | undefined) => void,
  ): void {
    const { random, profile, timeline } = this.#world;
    const { life } = from;
    let isDone = false;
    const settle = (value: Reply | undefined) => {
      if (isDone) return;
      isDone = true;
      from.run(() => done(value), life);
    };
    const answer = (value: Reply | undefined) => {
      if (this.#isLost(from, link, profile.rpcLoss)) return;
      timeline.after(this.delayMs(kind), () => {
        if (!this.#isCut(from, link)) settle(value);
      });
    };
    const copies = this.isFaulty && random.chance(profile.duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#isLost(from, link, profile.rpcLoss)) continue;
      timeline.after(this.delayMs(kind), () => serve(answer));
    }
    timeline.after(timeoutMs, () => settle(undefined));
  }

  /** The duration of a message, or of one direction of a call or operation. */
  delayMs(kind: string): number {
    const { random, profile } = this.#world;
    const maySlow = profile.slowOnly === undefined || profile.slowOnly.includes(kind);
    if (this.isFaulty && maySlow && random.chance(profile.slow)) {
      return random.between(5, profile.slowMs);
    }
    return random.between(0.5, 3);
  }

  #isCut(machine: Machine, link: Link): boolean {
    return this.#cuts.size > 0 && this.#cuts.has(`${machine.name} ${link}`);
  }

  #isLost(machine: Machine, link: Link, loss: number): boolean {
    return this.#isCut(machine, link) || (this.isFaulty && this.#world.random.chance(loss));
  }
}
