import type {
  OpenSlotsRequest,
  OpenSlotsResponse,
} from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { createdEvent, slotsChangedEvent } from '../events.ts';
import { newProject } from '../rules/new-project.ts';
import { defaultProjectName } from '../rules/recommended.ts';
import { settingsOf } from '../rules/settings.ts';
import type { SlotsDocument } from '../store/documents.ts';
import type { Dependencies } from './dependencies.ts';

/** A step of org's sagas: the slots and the Default Project come into being together. */
export const createOpenSlots =
  ({
    projects,
    slots,
    eventLog,
  }: Pick<Dependencies, 'projects' | 'slots' | 'eventLog'>): Handler<
    OpenSlotsRequest,
    OpenSlotsResponse
  > =>
  async ({ organizationId, limit = null, defaultProjectId, actor, correlationId }, { signal }) => {
    await eventLog.decide({ id: correlationId, actor, signal, permits: undefined }, async (tx) => {
      const opened: SlotsDocument = {
        _id: organizationId,
        limit,
        count: 1,
        closed: false,
        revision: 1,
        tries: {},
      };
      if (!(await slots.open(tx, opened))) return;
      const project = newProject(
        { name: defaultProjectName, settings: settingsOf(undefined, 'settings') },
        { id: defaultProjectId, organizationId, now: tx.now },
      );
      await projects.insert(tx, [project]);
      tx.emit(slotsChangedEvent(undefined, opened, { actor, tx }));
      tx.emit(createdEvent(project, { actor, tx }));
    });
    return {};
  };
