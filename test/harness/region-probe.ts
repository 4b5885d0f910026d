import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { SiloError } from '@silo/errors/silo-error.ts';
import type { Region } from '@silo/tokens/ids.ts';
import type { RegionalSilo } from './regions.ts';

/** A region accepted an event, at a time between these two, by one clock. */
export type Accepted = { region: Region; fromMs: number; toMs: number };

/** The outcome of the events of a probe. */
export type Probed = {
  accepted: Accepted[];
  /** The UUIDs of the events that were accepted. */
  stored: string[];
  /** UUIDs of events whose call failed without a refusal: they may be stored or not. */
  unknown: string[];
};

const pauseMs = 20;
/** Refusals after which nothing is stored. */
const refusals = new Set(['NOT_READY', 'CROSS_REGION', 'TOKEN_INVALID', 'RATE_LIMITED']);

/**
 * Sends one event after another to each region over gRPC, which does not forward events, until it
 * is stopped. A region that accepts an event has the project at that time.
 */
export function probe(
  regions: readonly Pick<RegionalSilo, 'region' | 'once'>[],
  token: string,
): { soFar: Probed; stop(): Promise<Probed> } {
  const probed: Probed = { accepted: [], stored: [], unknown: [] };
  let isOver = false;
  const watch = async ({ region, once }: (typeof regions)[number]) => {
    // Sent once, because repeats would widen the time in which an event was accepted.
    const { events } = once(token);
    while (!isOver) {
      const uuid = randomUUID();
      const event = { uuid, name: 'probe', distinctId: region, timestamp: '', properties: '' };
      const fromMs = performance.now();
      try {
        await events.captureEvents({ events: [event], superProperties: '' });
        probed.accepted.push({ region, fromMs, toMs: performance.now() });
        probed.stored.push(uuid);
      } catch (error) {
        const isRefused = error instanceof SiloError && refusals.has(error.reasonName);
        if (!isRefused) probed.unknown.push(uuid);
      }
      await pause(pauseMs);
    }
  };
  const watching = Promise.all(regions.map(watch));
  return {
    soFar: probed,
    stop: async () => {
      isOver = true;
      await watching;
      return probed;
    },
  };
}

/**
 * The minimum number of changes of the project's region. More than the number of migrations and
 * rollbacks means that both regions accepted events at the same time.
 */
export function handoversIn(accepted: readonly Accepted[]): number {
  const inOrder = accepted.toSorted((a, b) => a.toMs - b.toMs);
  const regions = [...new Set(inOrder.map(({ region }) => region))];
  return Math.max(0, ...regions.map((first) => chainFrom(first, inOrder).length - 1));
}

/**
 * The longest chain in which each event was accepted after the previous one, and in the other
 * region.
 */
function chainFrom(first: Region, inOrder: readonly Accepted[]): Accepted[] {
  const chain: Accepted[] = [];
  for (const each of inOrder) {
    const last = chain.at(-1);
    const follows =
      last === undefined
        ? each.region === first
        : each.region !== last.region && each.fromMs > last.toMs;
    if (follows) chain.push(each);
  }
  return chain;
}
