import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '@silo/embedded/ports.ts';
import { eventually } from './eventually.ts';
import { findGoTool, type GoTool } from './go-tool.ts';

const receiverTool: GoTool = {
  name: 'silo-otlp-receiver',
  folder: join(import.meta.dirname, 'otlp-receiver'),
  version: 'v0.165.0',
  versionArgs: ['--version'],
};

/** One exported span. Ids are hex digits; `parentId` is empty if there is none. */
export type ExportedSpan = {
  service: string;
  name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number;
  traceId: string;
  id: string;
  parentId: string;
  attributes: Record<string, string>;
};

type Attributes = { key: string; value: Record<string, unknown> }[];
type Export = {
  resourceSpans: {
    resource: { attributes: Attributes };
    scopeSpans: {
      spans: {
        traceId: string;
        spanId: string;
        parentSpanId?: string;
        name: string;
        kind: number;
        attributes?: Attributes;
      }[];
    }[];
  }[];
};

/** Receives spans like a collector. */
export type OtlpReceiver = AsyncDisposable & {
  /** The URL that accepts OTLP over HTTP. */
  url: string;
  spans: readonly ExportedSpan[];
  /** All that was received. */
  text(): string;
};

/**
 * Starts the receiver of the OpenTelemetry Collector. Undefined if it cannot be built, which `log`
 * reports; in CI that is an error.
 */
export async function startOtlpReceiver(
  log: (line: string) => void,
): Promise<OtlpReceiver | undefined> {
  const binary = await findGoTool(receiverTool, { log });
  if (binary === undefined) return undefined;
  const endpoint = `127.0.0.1:${await freePort()}`;
  const child = spawn(binary, [endpoint], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const spans: ExportedSpan[] = [];
  const texts: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    texts.push(line);
    spans.push(...spansOf(JSON.parse(line)));
  });
  const stop = async () => {
    child.kill();
    await exited;
  };
  const url = `http://${endpoint}`;
  try {
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
      await fetch(url, { signal: AbortSignal.timeout(1_000) });
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, spans, text: () => texts.join('\n'), [Symbol.asyncDispose]: stop };
}

function spansOf({ resourceSpans }: Export): ExportedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = valuesOf(resource.attributes)['service.name'] ?? '';
    return scopeSpans.flatMap((scope) =>
      scope.spans.map(({ traceId, spanId: id, parentSpanId, name, kind, attributes }) => ({
        ...{ service, name, kind, traceId, id },
        parentId: parentSpanId ?? '',
        attributes: valuesOf(attributes ?? []),
      })),
    );
  });
}

function valuesOf(attributes: Attributes): Record<string, string> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, String(Object.values(value)[0])]),
  );
}
