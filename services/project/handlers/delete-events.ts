import { errors } from '@silo/errors/errors.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import {
  type DeleteEventsRequest,
  DeleteEventsResponse,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { newId } from '@silo/tokens/ids.ts';
import { eventsDeletedEvent } from '../events.ts';
import { eventDeletionMessage } from '../messages.ts';
import { deletionFilterBytesMax, filterFields } from '../rules/events/deletions.ts';
import { checkFilter } from '../rules/events/filter.ts';
import type { EventDeletionStore } from '../store/event-deletions.ts';
import type { Dependencies } from './dependencies.ts';
import { withOwner } from './shared/with-owner.ts';

const retryMs = 10_000;

type DeleteEventsDependencies = Pick<Dependencies, 'projects' | 'eventLog' | 'access'> & {
  deletions: Pick<EventDeletionStore, 'beginGeneration' | 'insert' | 'isFull'>;
};

/**
 * DeleteEvents: begins a generation of the project's events. The deletion covers matching events of
 * earlier generations; the following barrier waits until no guard allows captures into those any
 * more.
 */
export async function deleteEvents(
  { projectId, filter: sent }: DeleteEventsRequest,
  call: Call,
  { projects, deletions, eventLog, access }: DeleteEventsDependencies,
): Promise<Outcome<DeleteEventsResponse>> {
  const wanted = EventFilter.fromPartial(sent ?? {});
  const filter = encoded(wanted);
  const needs = { scope: 'event:write', level: Level.LEVEL_ADMIN };
  return await withOwner({ access, call }, needs, async (organizationId, gone) => {
    return await eventLog.mutate(call, DeleteEventsResponse, async (tx) => {
      const present = await projects.read(tx, organizationId, projectId);
      if (present === undefined) throw gone;
      // Check before any write, so that a refused request conflicts with no other call.
      if (await deletions.isFull(tx, projectId)) {
        throw errors.rateLimited('event_deletions', retryMs);
      }
      const project = await deletions.beginGeneration(tx, organizationId, projectId);
      if (project === undefined) throw errors.projectNotActive({ projectId, state: present.state });
      const deletion = {
        ...{ _id: newId('evd'), projectId, generation: project.eventGeneration ?? 0, filter },
        ...{ actorAccountId: call.actor, createTime: tx.now, removedCount: 0 },
        isOpen: true as const,
      };
      await deletions.insert(tx, deletion);
      const described = { deletionId: deletion._id, filterFields: filterFields(wanted) };
      tx.emit(eventsDeletedEvent(project, described, { actor: call.actor, tx }));
      return { response: { deletion: eventDeletionMessage(deletion) } };
    });
  });
}

/** Refuses an invalid or too large filter with INVALID_FIELD. */
function encoded(filter: EventFilter): Buffer {
  checkFilter(filter);
  const bytes = Buffer.from(EventFilter.encode(filter).finish());
  if (bytes.length <= deletionFilterBytesMax) return bytes;
  const description = `must have at most ${deletionFilterBytesMax} bytes`;
  throw errors.invalidField([{ field: 'filter', description }]);
}
