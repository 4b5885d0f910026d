import { createRequire } from 'node:module';
import type { Attributes, Context, Span } from '@opentelemetry/api';
import type { Log } from './log.ts';
import { Throttle } from './throttle.ts';

// The copy that prom-client has loaded, because an ES module would be loaded again (1 MB, 25 ms).
const { context, diag, DiagLogLevel, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } =
  createRequire(import.meta.url)('@opentelemetry/api') as typeof import('@opentelemetry/api');

/** The kinds of spans in OpenTelemetry. */
const kinds = {
  /** Serves a call. */
  server: SpanKind.SERVER,
  /** Calls another process and waits for it. */
  client: SpanKind.CLIENT,
  /** Publishes an event. */
  producer: SpanKind.PRODUCER,
  /** Processes an event. */
  consumer: SpanKind.CONSUMER,
  /** Work inside of a process. */
  internal: SpanKind.INTERNAL,
};

/**
 * The name and attributes of a span. They contain no secret, no e-mail, no request id, and no text
 * of a caller.
 */
export type SpanDescription = {
  name: string;
  kind: keyof typeof kinds;
  attributes?: Attributes;
};

/**
 * How a span ended. The error is a name that Silo defines, never a message, which may quote the
 * caller.
 */
type SpanEnd = { error?: string | undefined; attributes?: Attributes };

/** A span that has begun. Only its first end counts. */
export type OpenSpan = {
  /** 32 hex digits. */
  traceId: string;
  /** Runs `work` in the span: spans that begin in it, also later, are its children. */
  run<T>(work: () => T): T;
  end(how?: SpanEnd): void;
};

/**
 * The header of W3C Trace Context. `tracestate` is not passed on, because it may contain any text
 * of a caller.
 */
export type TraceHeaders = { traceparent?: string | undefined };

let isOn = false;

/** The interval at which an unreachable collector is reported. */
const reportIntervalMs = 60_000;
const reportLengthMax = 500;

/** Whether this process exports traces. It is decided before anything else starts. */
export function isTracing(): boolean {
  return isOn;
}

/**
 * Called once, after an SDK was registered with the OpenTelemetry API; what it reports is logged.
 */
export function turnTracingOn(log: Log): void {
  isOn = true;
  const throttle = new Throttle({ intervalMs: reportIntervalMs, keysMax: 1 });
  const report = (text: string) => {
    if (!throttle.admits('', performance.now())) return;
    log.warn({ report: text.slice(0, reportLengthMax) }, 'tracing has a problem');
  };
  const ignore = () => {};
  diag.setLogger(
    { error: report, warn: report, info: ignore, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}

/** Begins a span that continues the trace in `headers`, or a new trace. */
export function beginSpan(description: SpanDescription, headers: TraceHeaders): OpenSpan {
  return openSpan(description, propagation.extract(ROOT_CONTEXT, headers));
}

/** Begins a span in the trace that is active; undefined if none is. */
export function beginChildSpan(description: SpanDescription): OpenSpan | undefined {
  const active = context.active();
  return trace.getSpanContext(active) === undefined ? undefined : openSpan(description, active);
}

/** Runs `work` in a span of the trace that is active. Without one, it only runs it. */
export function traced<T>(description: SpanDescription, work: () => Promise<T>): Promise<T> {
  return runIn(beginChildSpan(description), work);
}

/**
 * Runs `work` in a span of the trace that an event carries, which is that of the call that made the
 * change. Without one, it only runs `work`.
 */
export function tracedEvent<T>(
  { traceparent }: Pick<TraceHeaders, 'traceparent'>,
  description: SpanDescription,
  work: () => Promise<T>,
): Promise<T> {
  return runIn(traceparent ? beginSpan(description, { traceparent }) : undefined, work);
}

/** Adds a span without a duration to the trace that an event carries, if any. */
export function noteEvent(
  { traceparent }: Pick<TraceHeaders, 'traceparent'>,
  description: SpanDescription,
): void {
  if (traceparent) beginSpan(description, { traceparent }).end();
}

/** Headers that continue the active trace in another process; none without a trace. */
export function traceHeaders(): TraceHeaders {
  const headers: TraceHeaders = {};
  propagation.inject(context.active(), headers);
  return headers;
}

/** Runs `work` in no trace: for work that one call starts, but that serves all calls. */
export function untraced<T>(work: () => T): T {
  return context.with(ROOT_CONTEXT, work);
}

function runIn<T>(span: OpenSpan | undefined, work: () => Promise<T>): Promise<T> {
  return span === undefined ? work() : runAndEnd(span, work);
}

async function runAndEnd<T>(span: OpenSpan, work: () => Promise<T>): Promise<T> {
  try {
    const result = await span.run(work);
    span.end();
    return result;
  } catch (error) {
    span.end({ error: nameOf(error) });
    throw error;
  }
}

function openSpan({ name, kind, attributes }: SpanDescription, parent: Context): OpenSpan {
  const options = { kind: kinds[kind], ...(attributes && { attributes }) };
  // Looked up at each call, because the SDK registers with another copy of the API, and perhaps
  // later.
  const span: Span = trace.getTracer('silo').startSpan(name, options, parent);
  const within = trace.setSpan(parent, span);
  return {
    traceId: span.spanContext().traceId,
    run: (work) => context.with(within, work),
    end: ({ error, attributes: more } = {}) => {
      if (more !== undefined) span.setAttributes(more);
      if (error !== undefined) {
        span.setAttribute('error.type', error);
        span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.end();
    },
  };
}

/** An error's reason or class; its message may contain text of a caller. */
export function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'error';
  return 'reasonName' in error ? String(error.reasonName) : error.name;
}
