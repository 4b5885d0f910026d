import { join } from 'node:path';
import { startProcess } from '@silo/embedded/processes.ts';
import { compileCache } from '../../harness/processes.ts';
import type { Cluster } from './cluster.ts';

/** Forges messages on NATS in a separate process, until it is stopped. */
export async function startForger({ directory, natsUrl }: Cluster): Promise<{
  /** Ends it, and returns the number of messages that it has published. */
  end(): Promise<number>;
}> {
  const forger = await startProcess({
    name: 'forger',
    command: process.execPath,
    args: [join(import.meta.dirname, 'forger-main.ts')],
    directory: join(directory, 'forger'),
    logFile: join(directory, 'logs', 'forger.log'),
    environment: { ...process.env, NODE_COMPILE_CACHE: compileCache, NATS_URL: natsUrl },
  });
  return {
    end: async () => {
      const exit = await forger.stop();
      const [, forged] = /forged (\d+) messages/.exec(forger.logTail()) ?? [];
      if (exit.code !== 0 || forged === undefined) throw forger.exitError(exit);
      return Number(forged);
    },
  };
}
