import { eventSpan } from '@silo/events/event-span.ts';
import { noteEvent } from '@silo/runtime/tracing.ts';
import type { GuardAction } from './core/messages.ts';

/**
 * Records in the trace of a change that this guard has dropped the access that the change ended.
 */
export function noteEnded({ traced }: Extract<GuardAction, { kind: 'ended' }>): void {
  if (traced !== undefined) noteEvent(traced, eventSpan('apply', traced, 'consumer'));
}
