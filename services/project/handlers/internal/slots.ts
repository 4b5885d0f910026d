import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  GetSlotsRequest,
  GetSlotsResponse,
  OnBehalfOf,
  OpenSlotsRequest,
  OpenSlotsResponse,
  TryCloseSlotsRequest,
  TryCloseSlotsResponse,
  TryOutcome,
  TrySetLimitRequest,
  TrySetLimitResponse,
} from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { checkAccess } from '@silo/rpc/check-access.ts';
import { createdEvent, slotsChangedEvent } from '../../events.ts';
import { newProject } from '../../rules/new-project.ts';
import { defaultProjectName } from '../../rules/recommended.ts';
import { settingsOf } from '../../rules/settings.ts';
import {
  type ConditionalChange,
  changesSlots,
  decideConditionalChange,
} from '../../rules/slots.ts';
import type { SlotsDocument } from '../../store/documents.ts';
import type { Dependencies } from '../dependencies.ts';

/** OpenSlots, a step of org's sagas: creates the slots together with the Default Project. */
export async function openSlots(
  { organizationId, limit, migrations, defaultProjectId, actor, correlationId }: OpenSlotsRequest,
  { signal }: Call,
  { projects, slots, eventLog }: Pick<Dependencies, 'projects' | 'slots' | 'eventLog'>,
): Promise<OpenSlotsResponse> {
  await eventLog.decide(
    { id: correlationId, actor, signal, authorization: undefined },
    async (tx) => {
      const opened: SlotsDocument = {
        _id: organizationId,
        limit: limit ?? null,
        ...(migrations !== undefined && { migrations }),
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
    },
  );
  return {};
}

export async function getSlots(
  { organizationId }: GetSlotsRequest,
  { signal }: Call,
  { slots }: Pick<Dependencies, 'slots'>,
): Promise<GetSlotsResponse> {
  const found = (await slots.getMany([organizationId], signal)).get(organizationId);
  if (found === undefined) throw errors.notReady('the organization’s project slots');
  return { limit: found.limit ?? undefined, count: found.count };
}

export async function trySetLimit(
  request: TrySetLimitRequest,
  call: Call,
  dependencies: Pick<Dependencies, 'slots' | 'eventLog' | 'access'>,
): Promise<TrySetLimitResponse> {
  const { organizationId, limit = null, migrations, revision } = request;
  const outcome = await changeOnce(dependencies, call, {
    organizationId,
    change: () => ({ kind: 'limit', revision, limit, migrations }),
    onBehalfOf: requireOnBehalfOf(request),
    scope: 'billing:write',
    level: Level.LEVEL_ADMIN,
  });
  return { outcome };
}

export async function tryCloseSlots(
  request: TryCloseSlotsRequest,
  call: Call,
  dependencies: Pick<Dependencies, 'projects' | 'slots' | 'eventLog' | 'access'>,
): Promise<TryCloseSlotsResponse> {
  const { organizationId, revision, endDeletedProjects } = request;
  const outcome = await changeOnce(dependencies, call, {
    organizationId,
    change: async (tx) => {
      // Undeleting a project changes the slots, so it conflicts with this change.
      const deletedCount = endDeletedProjects
        ? 0
        : await dependencies.projects.countRestorable(tx, organizationId);
      return { kind: 'close', revision, deletedCount };
    },
    onBehalfOf: requireOnBehalfOf(request),
    scope: 'organization:write',
    level: Level.LEVEL_OWNER,
  });
  return { outcome };
}

type SlotsDependencies = Pick<Dependencies, 'slots' | 'eventLog' | 'access'>;

/** A conditional change of an organization's slots, and the access that its caller must have. */
type SlotsChange = {
  organizationId: string;
  /** Determines the change from what its transaction reads. */
  change(tx: Transaction): ConditionalChange | Promise<ConditionalChange>;
  onBehalfOf: OnBehalfOf;
  scope: string;
  level: Level;
};

/**
 * Makes a conditional change of slots in one transaction that stores its result: the same revision
 * gets the same result, whatever has changed since. Refuses with NOT_READY.
 */
async function changeOnce(
  dependencies: SlotsDependencies,
  call: Call,
  wanted: SlotsChange,
): Promise<TryOutcome> {
  const { slots, eventLog } = dependencies;
  const { organizationId, change, onBehalfOf } = wanted;
  const { accountId: actor, correlationId: id } = onBehalfOf;
  const hasAccess = await mayStill(dependencies, call, wanted);
  const { signal, authorization } = call;
  const { value } = await eventLog.decide({ id, actor, signal, authorization }, async (tx) => {
    const before = await slots.read(tx, organizationId);
    if (before === undefined) throw errors.notReady('the organization’s project slots');
    const { outcome, after } = decideConditionalChange(before, await change(tx), hasAccess);
    if (after === undefined) return outcome;
    const isClosing = after.closed && !before.closed;
    await slots.replace(tx, isClosing ? { ...after, closeTime: tx.now } : after);
    if (changesSlots(before, after)) tx.emit(slotsChangedEvent(before, after, { actor, tx }));
    return outcome;
  });
  return value;
}

/** Takes a permit for the conditional change, on behalf of the saga's caller. */
async function mayStill(
  { access }: SlotsDependencies,
  call: Call,
  { organizationId, onBehalfOf, scope, level }: SlotsChange,
): Promise<boolean> {
  const { keyHash, accountId } = onBehalfOf;
  const answer = await checkAccess(access, call, { keyHash, scope, organizationId, level });
  return answer.allowed && answer.facts.key.accountId === accountId;
}

/** Returns on whose behalf a saga calls. Refuses with INVALID_FIELD if it is missing. */
function requireOnBehalfOf(request: { onBehalfOf: OnBehalfOf | undefined }): OnBehalfOf {
  if (request.onBehalfOf !== undefined) return request.onBehalfOf;
  throw errors.invalidField([{ field: 'on_behalf_of', description: 'must be set' }]);
}
