import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { SiloError } from '@silo/errors/silo-error.ts';
import type { Region } from '@silo/tokens/ids.ts';
import type { RegionalSilo } from './regions.ts';

/** A region has accepted an event: at an instant between these two, by one clock. */
export type Accepted = { region: Region; fromMs: number; toMs: number };

/** What became of the events of a probe. */
export type Probed = {
  accepted: Accepted[];
  /** The UUIDs of the events that were accepted. */
  stored: string[];
  /** Of those whose call failed without a refusal: they may be stored, or not. */
  unknown: string[];
};

const pauseMs = 20;
/** After these nothing is stored. */
const refusals = new Set(['NOT_READY', 'CROSS_REGION', 'TOKEN_INVALID', 'RATE_LIMITED']);

/**
 * Sends one event after the other to each region over gRPC, which passes nothing on, until it is
 * stopped. A region that accepts an event has the project at that instant.
 */
export function probe(
  regions: readonly Pick<RegionalSilo, 'region' | 'once'>[],
  token: string,
): { soFar: Probed; stop(): Promise<Probed> } {
  const probed: Probed = { accepted: [], stored: [], unknown: [] };
  let isOver = false;
  const watch = async ({ region, once }: (typeof regions)[number]) => {
    // Repeats would widen the time in which an event was accepted.
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
 * How often the project has changed its region, at least. More often than there were migrations and
 * rollbacks means that both regions have accepted events in the same time.
 */
export function handoversIn(accepted: readonly Accepted[]): number {
  const inOrder = accepted.toSorted((a, b) => a.toMs - b.toMs);
  const regions = [...new Set(inOrder.map(({ region }) => region))];
  return Math.max(0, ...regions.map((first) => chainFrom(first, inOrder).length - 1));
}

/** The longest chain of which each was accepted after the one before, and in the other region. */
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
