import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import type { EventDeletion } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { Migration } from '@silo/protos/gen/silo/project/v1/migration.ts';
import {
  type Move,
  type Project,
  PropertyIndexState,
} from '@silo/protos/gen/silo/project/v1/project.ts';
import type {
  AccessChange,
  KeyOwner,
  SlotsChange,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { etagOf } from '@silo/tokens/etag.ts';
import type { Concerned, ConcernedKey, MoveAccess } from './rules/move-access.ts';
import type { PropertyIndex } from './rules/property-indexes.ts';
import type {
  MigrationDocument,
  MoveDocument,
  ProjectDocument,
  SlotsDocument,
} from './store/documents.ts';
import { bytesOf } from './store/event-collection.ts';
import type { EventDeletionDocument } from './store/event-deletions.ts';

const indexStates: Partial<Record<PropertyIndex['state'], PropertyIndexState>> = {
  building: PropertyIndexState.PROPERTY_INDEX_STATE_BUILDING,
  ready: PropertyIndexState.PROPERTY_INDEX_STATE_READY,
  removing: PropertyIndexState.PROPERTY_INDEX_STATE_REMOVING,
};

/** A project as the API shows it. */
export function projectMessage(document: ProjectDocument): Project {
  const { _id, organizationId, name, settings, state, createTime, updateTime } = document;
  return {
    id: _id,
    organizationId,
    name,
    settings: { retentionDays: 0, indexedProperties: [], ...settings },
    propertyIndexes: (document.propertyIndexes ?? []).map(({ name, state }) => ({
      name,
      // A newer release may have stored another state.
      state: indexStates[state] ?? PropertyIndexState.PROPERTY_INDEX_STATE_UNSPECIFIED,
    })),
    state,
    createTime,
    updateTime,
    purgeTime: document.purgeTime,
    etag: etagOf(document.revision),
  };
}

/** A deletion of events as the API shows it. */
export function eventDeletionMessage(document: EventDeletionDocument): EventDeletion {
  const { _id, projectId, filter, actorAccountId, createTime, removedCount } = document;
  const { finishTime = document.keptFinishTime } = document;
  const ids = { id: _id, projectId, actorAccountId };
  const decoded = EventFilter.decode(bytesOf(filter));
  return { ...ids, filter: decoded, createTime, removedCount, finishTime };
}

/** A move as the API shows it. */
export function moveMessage(document: MoveDocument): Move {
  const { _id, projectIds, sourceOrganizationId, destinationOrganizationId } = document;
  const { actorAccountId, moveTime, undoExpireTime, finalizeTime } = document;
  const [projectId = '', ...others] = projectIds;
  return {
    id: _id,
    projectId: others.length === 0 ? projectId : '',
    sourceOrganizationId,
    destinationOrganizationId,
    actorAccountId,
    moveTime,
    projectIds,
    undoOf: document.undoOf ?? '',
    undoneBy: document.undoneBy ?? '',
    undoExpireTime,
    finalizeTime,
    finalizerAccountId: document.finalizerAccountId ?? '',
  };
}

/** A migration as the API shows it. */
export function migrationMessage(document: MigrationDocument): Migration {
  const { _id, projectId, projectName, state, progress, attempt, bytesPerSecondMax = 0 } = document;
  const { sourceRegion, destinationRegion, sourceOrganizationId, destinationOrganizationId } =
    document;
  const { requesterAccountId, accepterAccountId = '', rollbackOf = '', putOff } = document;
  // A reason of a postponement must not hide why the migration was cancelled or how its last
  // cutover ended.
  const failure = [document.failure, putOff?.why].filter(Boolean).join(' ');
  const { requestTime, acceptTime, startTime, finishTime, purgeTime } = document;
  return {
    id: _id,
    ...{ projectId, projectName, state },
    ...{ sourceRegion, destinationRegion, sourceOrganizationId, destinationOrganizationId },
    ...{ requesterAccountId, accepterAccountId, rollbackOf, failure },
    ...{ requestTime, acceptTime, startTime, finishTime, purgeTime },
    rolledBackBy: document.rolledBackBy ?? '',
    rollingBack: document.isRollingBack ?? false,
    purging: document.isPurging ?? false,
    progress: {
      ...{ bytesPerSecondMax, ...progress },
      cutoverAttempts: attempt,
    },
  };
}

/** A move as visible to a key that may be restricted to some of its projects. */
export function visibleMove(document: MoveDocument, onlyIds: readonly string[] | undefined): Move {
  const move = moveMessage(document);
  if (onlyIds === undefined) return move;
  return { ...move, projectIds: move.projectIds.filter((id) => onlyIds.includes(id)) };
}

/** The present slots of an organization, and its number of projects after adding `more`. */
export function slotsChange({ _id, limit, count }: SlotsDocument, more: number): SlotsChange {
  return {
    organizationId: _id,
    limit: limit ?? undefined,
    countBefore: count,
    countAfter: count + more,
  };
}

/** Maximum length of each list; the counts include all entries. */
const listedMax = 1_000;

/** The lost or gained access as visible to `accountId`: only the number of other accounts' keys. */
export function accessChangeMessage(
  { people, keys }: Concerned,
  access: MoveAccess,
  accountId: string,
): AccessChange {
  const own = keys.filter(({ key }) => key.accountId === accountId);
  const others = keys.filter(({ key }) => key.accountId !== accountId);
  const owners = ownersOf(others, access);
  return {
    members: people.slice(0, listedMax).map((person) => ({
      accountId: person.accountId,
      displayName: person.displayName,
      // Only one of the two levels is set: members of both organizations lose and gain nothing.
      level:
        person.sourceLevel === Level.LEVEL_UNSPECIFIED
          ? person.destinationLevel
          : person.sourceLevel,
    })),
    memberCount: people.length,
    ownKeys: own.slice(0, listedMax).map(({ key, projectIds }) => ({
      keyId: key.keyId,
      name: key.name,
      projectIds: projectIds === 'all' ? [] : [...projectIds],
    })),
    ownKeyCount: own.length,
    otherKeys: owners.slice(0, listedMax),
    otherKeyCount: others.length,
    otherOwnerCount: owners.length,
  };
}

function ownersOf(keys: readonly ConcernedKey[], { people }: MoveAccess): KeyOwner[] {
  const counts = new Map<string, number>();
  for (const { key } of keys) counts.set(key.accountId, (counts.get(key.accountId) ?? 0) + 1);
  // In order of account ids, like the people.
  return people.flatMap(({ accountId, displayName }) => {
    const keyCount = counts.get(accountId);
    return keyCount === undefined ? [] : [{ accountId, displayName, keyCount }];
  });
}
