import type { Reading } from '@silo/guard/core/fence.ts';
import type { World } from './world.ts';

/**
 * A process on its own machine: its two clocks, and its faults. While it is paused or suspended
 * nothing runs; messages that arrive then are handled afterwards, in any order.
 */
export class Machine {
  readonly name: string;
  readonly #world: World;
  /** Increases with every crash, so that work of an earlier process is recognized. */
  life = 1;
  isUp = true;
  #pauses = 0;
  #waiting: { life: number; run: () => void }[] = [];
  readonly #rate: number;
  readonly #monotonicStartMs: number;
  #wallOffsetMs: number;
  #suspendedMs = 0;
  readonly #reading: Reading = { monotonicMs: 0, wallMs: 0 };

  constructor(world: World, name: string) {
    this.name = name;
    this.#world = world;
    const { random, profile } = world;
    this.#rate = 1 + random.between(-profile.drift, profile.drift);
    this.#monotonicStartMs = random.between(0, 1e6);
    this.#wallOffsetMs = 1.7e12 + random.between(-1e7, 1e7);
  }

  get isPaused(): boolean {
    return this.#pauses > 0;
  }

  /** Both clocks now. */
  read(): Reading {
    const nowMs = this.#world.timeline.nowMs;
    this.#reading.monotonicMs = this.#monotonicStartMs + (nowMs - this.#suspendedMs) * this.#rate;
    this.#reading.wallMs = nowMs + this.#wallOffsetMs;
    return this.#reading;
  }

  /** Runs this here: now, after a pause, or never if the process that it was for has crashed. */
  run(run: () => void, life = this.life): void {
    if (!this.isUp || life !== this.life) return;
    if (this.isPaused) this.#waiting.push({ life, run });
    else run();
  }

  /** Runs this here after a delay by the machine's own clock. */
  after(delayMs: number, run: () => void): void {
    const { life } = this;
    this.#world.timeline.after(delayMs / this.#rate, () => this.run(run, life));
  }

  /** Pauses the process, if there is one; a suspension also stops the monotonic clock. */
  pause(durationMs: number, isSuspended: boolean): void {
    if (!this.isUp || (isSuspended && this.isPaused)) return;
    this.#pauses++;
    this.#world.trace(() => `${this.name} ${isSuspended ? 'suspended' : 'paused'} ${durationMs}ms`);
    this.#world.timeline.after(durationMs, () => {
      if (isSuspended) this.#suspendedMs += durationMs;
      if (--this.#pauses > 0) return;
      this.#world.trace(() => `${this.name} wakes up`);
      const waiting = this.#world.random.shuffle(this.#waiting);
      this.#waiting = [];
      for (const { life, run } of waiting) this.run(run, life);
    });
  }

  crash(): void {
    this.#world.trace(() => `${this.name} crashes`);
    this.isUp = false;
    this.life++;
    this.#waiting = [];
  }

  restart(): void {
    this.#world.trace(() => `${this.name} starts`);
    this.isUp = true;
  }

  setWallClock(byMs: number): void {
    this.#world.trace(() => `${this.name} wall clock ${Math.round(byMs)}ms`);
    this.#wallOffsetMs += byMs;
  }
}
