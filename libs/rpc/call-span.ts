import type { Metadata } from '@grpc/grpc-js';
import { Caller } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import { beginSpan, isTracing, type OpenSpan } from '@silo/runtime/tracing.ts';
import type { MethodRules } from './method-rules.ts';

/** The codes for failures of the server in OpenTelemetry's conventions for gRPC. */
const serverFaults = new Set([
  'UNKNOWN',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
]);

/**
 * Begins the span of an arrived call. A call between services does not begin a trace, because most
 * of them are periodic. Undefined if the call is not traced.
 */
export function beginCallSpan(
  { path, authorization }: Pick<MethodRules, 'path' | 'authorization'>,
  metadata: Metadata,
): OpenSpan | undefined {
  if (!isTracing()) return undefined;
  const traceparent = textOf(metadata, 'traceparent');
  const isOfPeer = authorization.caller === Caller.CALLER_CERTIFICATE;
  if (isOfPeer && traceparent === undefined) return undefined;
  return beginSpan({ ...spanOf(path), kind: 'server' }, { traceparent });
}

/**
 * Ends the span of a call that was answered. Records only ids, because messages may quote the
 * caller.
 */
export function endCallSpan(
  span: OpenSpan,
  answered: {
    code: string;
    reason: string | undefined;
    callId: string;
    actor: string;
    organization: string | undefined;
  },
): void {
  const { code, reason, callId, actor, organization } = answered;
  span.end({
    error: serverFaults.has(code) ? (reason ?? code) : undefined,
    attributes: {
      'rpc.response.status_code': code,
      'silo.call_id': callId,
      'silo.actor': actor,
      ...(reason !== undefined && { 'silo.reason': reason }),
      ...(organization !== undefined && { 'silo.organization': organization }),
    },
  });
}

/** The name and attributes of a span for a gRPC path. */
export function spanOf(path: string) {
  const method = path.slice(1);
  return { name: method, attributes: { 'rpc.system.name': 'grpc', 'rpc.method': method } };
}

function textOf(metadata: Metadata, name: string): string | undefined {
  const [value] = metadata.get(name);
  return typeof value === 'string' ? value : undefined;
}
