import type { LoggedEvent } from '@silo/log/log-reader.ts';
import type { SpanDescription } from '@silo/runtime/tracing.ts';

/** A span for an operation on an event, such as `publish internal.silo.project.moved.v1`. */
export function eventSpan(
  operation: string,
  { type, id, sequence }: Pick<LoggedEvent, 'type' | 'id' | 'sequence'>,
  kind: SpanDescription['kind'],
): SpanDescription {
  return {
    name: `${operation} ${type}`,
    kind,
    attributes: {
      'messaging.system': 'nats',
      'messaging.operation.name': operation,
      'messaging.message.id': id,
      'silo.event.type': type,
      'silo.event.sequence': sequence,
    },
  };
}
