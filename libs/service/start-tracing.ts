import { race } from '@silo/runtime/deadline.ts';
import type { Log } from '@silo/runtime/log.ts';
import { turnTracingOn } from '@silo/runtime/tracing.ts';
import type { ServiceConfig } from './config.ts';

/** How long a process that ends waits until its last spans are sent. */
const flushMs = 2_000;

type TracingConfig = Pick<
  ServiceConfig,
  | 'region'
  | 'otelSdkDisabled'
  | 'otelTracesExporter'
  | 'otelExporterOtlpEndpoint'
  | 'otelExporterOtlpTracesEndpoint'
>;

/**
 * Whether the settings name a destination for spans.
 * @internal Exported for tests.
 */
export function wantsTraces(config: Omit<TracingConfig, 'region'>): boolean {
  if (config.otelSdkDisabled === 'true') return false;
  if (config.otelTracesExporter !== undefined) return config.otelTracesExporter !== 'none';
  const { otelExporterOtlpEndpoint, otelExporterOtlpTracesEndpoint } = config;
  return otelExporterOtlpEndpoint !== undefined || otelExporterOtlpTracesEndpoint !== undefined;
}

/**
 * Exports the traces of this process, if the settings name a destination; the SDK reads the
 * `OTEL_*` variables. Call it before anything else starts. Disposing sends the remaining spans, for
 * a limited time.
 */
export async function startTracing(
  service: string,
  config: TracingConfig,
  log: Log,
): Promise<AsyncDisposable | undefined> {
  if (!wantsTraces(config)) return undefined;
  // Loaded on use: a process without traces does not need it.
  const { NodeSDK } = await import('@opentelemetry/sdk-node');
  setDefaults(config.region);
  const sdk = new NodeSDK({
    serviceName: process.env.OTEL_SERVICE_NAME || `silo-${service}`,
    // Prometheus reads the metrics, and log lines go to standard output.
    metricReaders: [],
    logRecordProcessors: [],
  });
  sdk.start();
  turnTracingOn(log);
  return {
    [Symbol.asyncDispose]: async () => {
      await race(sdk.shutdown(), AbortSignal.timeout(flushMs)).catch((error) =>
        log.warn({ err: error }, 'the last spans were not sent'),
      );
    },
  };
}

function setDefaults(region: string): void {
  const { env } = process;
  // Without baggage, which callers control; and without process and host, which name files and
  // users.
  env.OTEL_PROPAGATORS ||= 'tracecontext';
  env.OTEL_NODE_RESOURCE_DETECTORS ||= 'env,serviceinstance';
  const attributes = ['service.namespace=silo', `silo.region=${region}`];
  if (env.OTEL_RESOURCE_ATTRIBUTES) attributes.push(env.OTEL_RESOURCE_ATTRIBUTES);
  env.OTEL_RESOURCE_ATTRIBUTES = attributes.join(',');
}
