import type { Mounted } from './mount.ts';
import { drainDefaultMs, type ServerOptions, startServer } from './server.ts';

/** Options of a service: those of a server, but with addresses and services of both ports. */
export type PortsOptions = Omit<ServerOptions, 'address' | 'services' | 'internal'> & {
  public: { address: string; services: readonly Mounted[] };
  internal: { address: string; services: readonly Mounted[] };
};

/** Both ports of one service. */
export type Ports = AsyncDisposable & {
  publicAddress: string;
  internalAddress: string;
  /** Sets whether the store responds, which is the health of the service until it drains. */
  setServing(isServing: boolean): void;
  /** Sets the health of one name, such as `silo.nats`, and nothing else. */
  setHealth(name: `silo.${string}`, isServing: boolean): void;
  /**
   * Drains the public port, then the internal one, within one time limit; see
   * `RunningServer.drain`. `quiet` is called when the admitted calls of both have ended. Until it
   * resolves, the internal port serves new calls too, because other services may need them to
   * finish.
   */
  drain(withinMs?: number, quiet?: () => Promise<void>): Promise<void>;
};

/** Opens both ports, the internal one first, as NOT_SERVING until `setServing(true)`. */
export async function openPorts(options: PortsOptions): Promise<Ports> {
  const inner = await startServer({ ...options, ...options.internal, internal: true });
  const outer = await startServer({ ...options, ...options.public, internal: false }).catch(
    async (error: unknown) => {
      await inner.drain(0);
      throw error;
    },
  );
  const servers = [outer, inner];
  let drained: Promise<void> | undefined;
  const drainBoth = async (withinMs = drainDefaultMs, quiet?: () => Promise<void>) => {
    const endMs = performance.now() + withinMs;
    const leftMs = () => Math.max(0, endMs - performance.now());
    for (const { health } of servers) health.setServing(false);
    const closed = outer.drain(withinMs);
    await outer.quieten(withinMs);
    await inner.settled(leftMs());
    await quiet?.();
    await inner.drain(leftMs());
    await closed;
  };
  const drain = (withinMs?: number, quiet?: () => Promise<void>) => {
    drained ??= drainBoth(withinMs, quiet);
    return drained;
  };
  const setHealth: Ports['setHealth'] = (name, isServing) => {
    for (const { health } of servers) health.set(name, isServing);
  };
  setHealth('silo.nats', false);
  return {
    publicAddress: outer.address,
    internalAddress: inner.address,
    setServing: (isServing) => {
      for (const { health } of servers) health.setServing(isServing && drained === undefined);
    },
    setHealth,
    drain,
    [Symbol.asyncDispose]: () => drain(),
  };
}
