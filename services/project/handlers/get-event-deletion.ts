import { errors } from '@silo/errors/errors.ts';
import type {
  GetEventDeletionRequest,
  GetEventDeletionResponse,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { type Call, targetProject } from '@silo/rpc/call.ts';
import { eventDeletionMessage } from '../messages.ts';
import type { EventDeletionStore } from '../store/event-deletions.ts';

export async function getEventDeletion(
  { deletionId }: GetEventDeletionRequest,
  call: Call,
  { deletions }: { deletions: Pick<EventDeletionStore, 'get'> },
): Promise<GetEventDeletionResponse> {
  const found = await deletions.get(targetProject(call).id, deletionId, call.signal);
  if (found === undefined) throw errors.eventDeletionNotFound(deletionId);
  return { deletion: eventDeletionMessage(found) };
}
