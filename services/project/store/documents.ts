import type { TryResult } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import type {
  MigrationProgress,
  MigrationState,
} from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { MigrationSide } from '../rules/migration-states.ts';
import type { PropertyIndex } from '../rules/property-indexes.ts';

export type StoredSettings = {
  timeZone: string;
  appUrls: string[];
  anonymizeIps: boolean;
  /** Absent in documents of older versions, which kept all: 0. */
  retentionDays?: number;
  /** Absent: none, of a project that an older version has stored. */
  indexedProperties?: string[];
};

/** A project as it is stored. */
export type ProjectDocument = {
  _id: string;
  organizationId: string;
  name: string;
  /** The name as it is searched and sorted: folded. */
  searchName: string;
  /** By which version of `fold`; absent: by one before there were versions. */
  foldVersion: number;
  settings: StoredSettings;
  state: ProjectState;
  /** Of the properties that it has chosen, and of those whose values are still removed. */
  propertyIndexes?: PropertyIndex[];
  /** Counts the changes; the etag is made of it. */
  revision: number;
  createTime: Date;
  updateTime: Date;
  /** How many times events of it were deleted; absent: never. */
  eventGeneration?: number;
  /**
   * The latest time of before which its retention has removed events here; absent: it has removed none
   * since the project came.
   */
  expiredBefore?: Date;
  /** The move that brought it where it is; absent if it has never been moved. */
  moveId?: string;
  /** The migration that brought it here; absent once the source of that is purged, as far as is known. */
  cameBy?: string;
  /** Where it is, once it has migrated. */
  migratedTo?: { region: string; organizationId: string };
  /** Counts the transactions that changed its events outside of captures: see project-fence.ts. */
  fence?: number;
  /** Only of a deleted project. */
  purgeTime?: Date;
  /** Its purge has begun: nothing brings it back. */
  purging?: true;
};

/** The result of the last conditional change of one kind. */
export type ChangeResult = {
  revision: number;
  result: TryResult;
  count: number;
  /** Deleted projects that stood in the way; absent: none. */
  deletedCount?: number;
};

/**
 * How many projects an organization may have, and how many it has. A transaction that creates,
 * moves or deletes a project really changes this document, so that snapshots allow no write skew.
 */
export type SlotsDocument = {
  /** The organization's id. */
  _id: string;
  /** Null: no limit. */
  limit: number | null;
  /** Whether the plan has migrations to other regions; absent: the release before has set the limit. */
  migrations?: boolean;
  /** Its projects that are not deleted. */
  count: number;
  /** The organization is being deleted: it gets no project any more. */
  closed: boolean;
  /** When they were closed; absent before. */
  closeTime?: Date;
  revision: number;
  /** The results of conditional changes, by kind. */
  tries: { limit?: ChangeResult; close?: ChangeResult };
};

/** A move as it is stored. */
export type MoveDocument = {
  _id: string;
  /** One, or a batch: in the order of the request. */
  projectIds: string[];
  sourceOrganizationId: string;
  destinationOrganizationId: string;
  /** Both of the above: the organizations that see it. */
  organizationIds: string[];
  actorAccountId: string;
  moveTime: Date;
  /** The move that this one undid. */
  undoOf?: string;
  /** Absent for an undo, which cannot be undone. */
  undoExpireTime?: Date;
  /** The move that undid this one. */
  undoneBy?: string;
  finalizeTime?: Date;
  finalizerAccountId?: string;
  /** Counts the changes of the record: 2 once it is undone or finalized. */
  revision: number;
};

/** A migration as this region records it. The other region has a record of the same id. */
export type MigrationDocument = {
  _id: string;
  /** The end of the migration that this region is. */
  side: MigrationSide;
  /**
   * Until nothing is left to do for it here, and again while the source is purged. A project has one
   * open record: so no two migrations, and no removal, change its events here at a time.
   */
  isOpen?: true;
  projectId: string;
  projectName: string;
  sourceRegion: string;
  destinationRegion: string;
  sourceOrganizationId: string;
  destinationOrganizationId: string;
  /** That of the two organizations which is in this region, and sees the migration here. */
  organizationId: string;
  state: MigrationState;
  /** On whose behalf this region changes the project: an account of it, or a staff certificate. */
  actor: string;
  requesterAccountId: string;
  requestTime: Date;
  accepterAccountId?: string;
  acceptTime?: Date;
  startTime?: Date;
  finishTime?: Date;
  rollbackOf?: string;
  /** The rollback of this migration; absent: there is none, or it was cancelled. */
  rolledBackBy?: string;
  /** That rollback has begun and is not done. */
  isRollingBack?: true;
  failure?: string;
  progress: Partial<MigrationProgress>;
  purgeTime?: Date;
  /** Counts the changes of the record. */
  revision: number;
  /** The last attempt at the cutover. */
  attempt: number;

  /** Of the source: when the attempt began, by the database's clock. */
  holdTime?: Date;
  /** Of the source: for how long the last attempt that has ended held captures. */
  lastHoldMs?: number;
  /** Of the source: no process of this region writes an event any more, since this attempt. */
  fencedAttempt?: number;
  /** Of the source: when the attempt was committed, by the database's clock. */
  commitTime?: Date;
  /** Of the source: the revision of the destination's record that was noted last. */
  notedRevision?: number;
  /** Of the source: subscribers know that the token has ended here. */
  isRetired?: true;
  /** Of the source: its events are being compared, and then removed. */
  isPurging?: true;
  /** Of the source: the number of the last purge; an earlier one writes nothing. */
  purgeNumber?: number;
  /** Of the source: a purge has begun to remove events, whether it was finished or not. */
  isPartlyRemoved?: true;

  /** Of the destination: the number of the process that works on it; smaller ones write nothing. */
  fence?: number;
  /** Of the destination: the limit of the copy that staff has set; absent: none. */
  bytesPerSecondMax?: number;
  /**
   * What the work has failed of: how often in a row, why, for people, until it goes on, and until when
   * others have the turn, by the database's clock.
   */
  putOff?: { tries: number; until: Date; why?: string };
  /** Of the destination: the project was deleted here after the migration, and is purged. */
  isProjectPurged?: true;
  /** Of the destination: events of an earlier stay are here, to be compared rather than copied. */
  hasEvents?: true;
  /** Of the destination: staff has decided to discard unmatched events of an earlier stay. */
  discardsUnmatched?: true;
  /** Of the destination: a slot is taken for the project, which is not stored yet. */
  hasSlot?: true;
  /** Of the destination: the attempt of which all is here, so that the source may commit it. */
  arrivedAttempt?: number;
  /** Of the destination: the project's document of an earlier stay, until the attempt has an end. */
  displaced?: ProjectDocument;
  /**
   * Of the destination: how many attempts do not count: those before the last retry, and those for
   * which the source was not ready.
   */
  attemptsBefore?: number;
};
