import { flushCompileCache } from 'node:module';
import { configOrExit } from '@silo/runtime/config.ts';
import { createLogger, readableOutput } from '@silo/runtime/log.ts';
import { runUntilSignal } from '@silo/runtime/shutdown.ts';
import { type ServiceConfig, serviceConfigSpec } from './config.ts';
import type { ServiceDefinition } from './service-definition.ts';
import { type RuntimeContext, startService } from './start.ts';
import { startTracing } from './start-tracing.ts';

/** The life of a service's process: configuration, start, and drain on SIGTERM or SIGINT. */
export async function runService(
  definition: ServiceDefinition,
  altered: Pick<RuntimeContext, 'alterAccess'> = {},
): Promise<void> {
  const config = configOrExit(serviceConfigSpec);
  const log = createLogger({
    service: definition.name,
    region: config.region,
    level: config.logLevel,
    ...(isReadable(config) && { destination: await readableOutput() }),
  });
  await runUntilSignal(
    async ({ signal }) => {
      await using started = new AsyncDisposableStack();
      const tracing = await startTracing(definition.name, config, log);
      if (tracing !== undefined) started.use(tracing);
      started.use(await startService(definition, config, { log, signal, ...altered }));
      // Written now if there is such a cache (NODE_COMPILE_CACHE), so that a process that is killed
      // leaves it too.
      flushCompileCache();
      // Only the start needed half of the heap (frees it if `--expose-gc` was given).
      globalThis.gc?.();
      return started.move();
    },
    { log },
  );
}

function isReadable({ logFormat }: ServiceConfig): boolean {
  return logFormat === 'text' || (logFormat === 'auto' && process.stdout.isTTY);
}
