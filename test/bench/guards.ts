import { type Forked, startForked } from '../harness/forked.ts';
import type { Bench } from './bench-servers.ts';
import type { GuardFleetOptions, Order, Report } from './guard-fleet.ts';

/** Guards in addition to those of the services, in one process, independent of each other. */
export type Guards = AsyncDisposable & {
  pid: number;
  /** Once this resolves, every guard verifies these tokens at a steady pace. */
  verify(tokens: readonly string[]): Promise<void>;
  /** Ends the verification, and returns its result. */
  stop(): Promise<Report>;
};

/** The guards of the four services, which always exist. */
export const embeddedGuards = 4;

/** Resolves when all of them have a read lease. Disposing releases their leases. */
export async function startGuards(bench: Bench, guards: number): Promise<Guards> {
  const { endpoints } = await bench.silo();
  const { services, ca, guard } = endpoints;
  const { org, project, token } = services;
  const options: GuardFleetOptions = {
    guards,
    addresses: { org: org.internal, project: project.internal, token: token.internal },
    nats: guard.nats,
    tls: { ca, cert: guard.cert, key: guard.key },
  };
  const fleet: Forked<Report> = await startForked(
    new URL('guard-fleet.ts', import.meta.url),
    options,
  );
  const order = (order: Order) => fleet.request(order);
  return {
    pid: fleet.pid,
    verify: async (tokens) => {
      await order({ kind: 'verify', tokens });
    },
    stop: () => order({ kind: 'stop' }),
    [Symbol.asyncDispose]: () => fleet[Symbol.asyncDispose](),
  };
}
