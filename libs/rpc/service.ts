import type { Mounted } from './mount.ts';
import { type ServerOptions, startServer } from './server.ts';

/** What a service opens: the same but for address and services on both ports. */
export type PortsOptions = Omit<ServerOptions, 'address' | 'services' | 'internal'> & {
  public: { address: string; services: readonly Mounted[] };
  internal: { address: string; services: readonly Mounted[] };
};

/** Both ports of one service. */
export type Ports = AsyncDisposable & {
  publicAddress: string;
  internalAddress: string;
  /** Whether the store answers: what health tells of the service, until it drains. */
  setServing(isServing: boolean): void;
  /** Whether NATS answers: told as `silo.nats`, and of no effect on anything else. */
  setNats(isConnected: boolean): void;
  /** Drains both ports at once; see `RunningServer.drain`. */
  drain(withinMs?: number): Promise<void>;
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
  let draining = false;
  const drain = async (withinMs?: number) => {
    draining = true;
    await Promise.all(servers.map((server) => server.drain(withinMs)));
  };
  const setNats = (isConnected: boolean) => {
    for (const { health } of servers) health.set('silo.nats', isConnected);
  };
  setNats(false);
  return {
    publicAddress: outer.address,
    internalAddress: inner.address,
    setServing: (isServing) => {
      for (const { health } of servers) health.setServing(isServing && !draining);
    },
    setNats,
    drain,
    [Symbol.asyncDispose]: () => drain(),
  };
}
