import type { Metadata } from '@grpc/grpc-js';

const traceparent = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The trace id of a caller's `traceparent` (W3C Trace Context); undefined if it is not valid. */
export function traceIdOf(metadata: Metadata): string | undefined {
  const [value] = metadata.get('traceparent');
  return typeof value === 'string' ? traceparent.exec(value)?.[1] : undefined;
}
