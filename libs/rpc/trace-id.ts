import type { Metadata } from '@grpc/grpc-js';

const traceparent = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The trace that a caller's `traceparent` names (W3C Trace Context); undefined without a valid one. */
export function traceIdOf(metadata: Metadata): string | undefined {
  const [value] = metadata.get('traceparent');
  return typeof value === 'string' ? traceparent.exec(value)?.[1] : undefined;
}
