import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { credentials } from '@grpc/grpc-js';
import type { Duration } from '@silo/protos/gen/google/protobuf/duration.ts';
import { HealthClient } from '@silo/protos/gen/grpc/health/v1/health.ts';
import type { Collection, MongoClient } from 'mongodb';
import { eventually } from './eventually.ts';
import { type Forked, startForked } from './forked.ts';
import { machineMs } from './machine-clock.ts';

type Round = { fromMs: number; untilMs: number };
type Counter = { _id: string; rounds: number };

/** A protobuf Duration, absent included, in ms. */
export function millisecondsOf(duration: Duration | undefined): number {
  return duration === undefined ? 0 : duration.seconds * 1_000 + duration.nanos / 1e6;
}

/** At most ten rounds a second, so that measuring takes little of the machine. */
const pauseMs = 100;
/**
 * Operations are also compared with rounds of the same second, because they may be shorter than a
 * pause.
 */
const besideMs = 1_000;

/**
 * The speed of the machine over time. A round is an empty RPC to another process and then a
 * transaction with one statement, without any code of Silo; rounds are repeated during the measured
 * operation. Time limits are numbers of rounds, so that a slow machine does not fail a test.
 */
export class Yardstick implements AsyncDisposable {
  readonly #server: Forked<string>;
  readonly #client: HealthClient;
  readonly #mongo: MongoClient;
  readonly #counters: Collection<Counter>;
  readonly #id = randomUUID();
  readonly #rounds: Round[] = [];
  #measuring: Promise<void> = Promise.resolve();
  #isOver = false;

  private constructor(server: Forked<string>, mongo: MongoClient) {
    this.#server = server;
    this.#client = new HealthClient(server.ready, credentials.createInsecure());
    this.#mongo = mongo;
    this.#counters = mongo.db('yardstick').collection('counters');
  }

  /** Measures until it is disposed of. */
  static async start(mongo: MongoClient): Promise<Yardstick> {
    const server = await startForked<string>(new URL('empty-server.ts', import.meta.url), {});
    const yardstick = new Yardstick(server, mongo);
    await eventually(() => yardstick.#round()); // connecting and creating are not measured
    yardstick.#measuring = yardstick.#measure();
    return yardstick;
  }

  /** The longest round of this time, or of the second before it, in ms. */
  longestMs(fromMs: number, untilMs: number): number {
    const nowMs = machineMs();
    const took = this.#rounds
      .filter((round) => round.fromMs < untilMs && round.untilMs > fromMs - besideMs)
      .map((round) => Math.min(round.untilMs, nowMs) - round.fromMs);
    return Math.max(0, ...took);
  }

  async #measure(): Promise<void> {
    while (!this.#isOver) {
      const round = { fromMs: machineMs(), untilMs: Number.POSITIVE_INFINITY };
      this.#rounds.push(round);
      await eventually(async () => {
        // During an election, for example, it fails, and the round lasts until it succeeds.
        if (!this.#isOver) await this.#round();
      });
      round.untilMs = machineMs();
      await pause(pauseMs);
    }
  }

  async #round(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#client.check({ service: '' }, (error) => (error === null ? resolve() : reject(error)));
    });
    await this.#mongo.withSession((session) =>
      session.withTransaction(
        () =>
          this.#counters.updateOne(
            { _id: this.#id },
            { $inc: { rounds: 1 } },
            { session, upsert: true },
          ),
        { readConcern: { level: 'snapshot' }, writeConcern: { w: 'majority' } },
      ),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#measuring;
    this.#client.close();
    await this.#server[Symbol.asyncDispose]();
  }
}
