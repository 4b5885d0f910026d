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
  /** Absent in documents of older versions, which kept all events: 0. */
  retentionDays?: number;
  /** Absent: none. Older versions did not store this field. */
  indexedProperties?: string[];
};

/** A project as stored. */
export type ProjectDocument = {
  _id: string;
  organizationId: string;
  name: string;
  /** The folded name, for searching and sorting. */
  searchName: string;
  /**
   * The version of `fold` that made `searchName`; absent in documents from before there were
   * versions.
   */
  foldVersion: number;
  settings: StoredSettings;
  state: ProjectState;
  /** The indexes of the chosen properties, and of those whose values are still being removed. */
  propertyIndexes?: PropertyIndex[];
  /** Number of changes; the etag is derived from it. */
  revision: number;
  createTime: Date;
  updateTime: Date;
  /** Number of deletions of the project's events; absent: none. */
  eventGeneration?: number;
  /**
   * Retention has removed events older than this time. Absent: none since the project came to this
   * region.
   */
  expiredBefore?: Date;
  /** The move that brought the project to its organization; absent if it was never moved. */
  moveId?: string;
  /** The migration that brought the project here; absent once its source is known to be purged. */
  cameBy?: string;
  /** The project's region and organization after its migration. */
  migratedTo?: { region: string; organizationId: string };
  /**
   * Number of transactions that changed the project's events outside of captures; see
   * project-fence.ts.
   */
  fence?: number;
  /** Only for a deleted project. */
  purgeTime?: Date;
  /** The purge has begun, or is due now: the project cannot be restored. */
  purging?: true;
};

/** The result of the last conditional change of one kind. */
export type ChangeResult = {
  revision: number;
  result: TryResult;
  count: number;
  /** Number of deleted projects that blocked the change; absent: none. */
  deletedCount?: number;
};

/**
 * An organization's limit of projects and its number of projects. A transaction that creates, moves
 * or deletes a project modifies this document, so that snapshots allow no write skew.
 */
export type SlotsDocument = {
  /** The organization's id. */
  _id: string;
  /** Null if unlimited. */
  limit: number | null;
  /**
   * Whether the plan allows migrations to other regions; absent if the previous release has set the
   * limit.
   */
  migrations?: boolean;
  /** Number of projects that are not deleted. */
  count: number;
  /** The organization is being deleted: it gets no more projects. */
  closed: boolean;
  /** When the slots were closed; absent before. */
  closeTime?: Date;
  revision: number;
  /** The results of conditional changes, by kind. */
  tries: { limit?: ChangeResult; close?: ChangeResult };
};

/** A move as stored. */
export type MoveDocument = {
  _id: string;
  /** The moved projects, in the order of the request. */
  projectIds: string[];
  sourceOrganizationId: string;
  destinationOrganizationId: string;
  /** Source and destination: the organizations that can see the move. */
  organizationIds: string[];
  actorAccountId: string;
  moveTime: Date;
  /** The move that this one reverted. */
  undoOf?: string;
  /** Absent for an undo, which cannot be undone. */
  undoExpireTime?: Date;
  /** The move that reverted this one. */
  undoneBy?: string;
  finalizeTime?: Date;
  finalizerAccountId?: string;
  /** Number of changes of the record: 2 once it is undone or finalized. */
  revision: number;
};

/** A migration as recorded in this region. The other region has a record with the same id. */
export type MigrationDocument = {
  _id: string;
  /** Whether this region is the source or the destination. */
  side: MigrationSide;
  /**
   * Set until this region has no work left for the migration, and again while the source is purged.
   * A project has at most one open record: so no two migrations or purges change its events here at
   * the same time.
   */
  isOpen?: true;
  projectId: string;
  /** The project's id once the project is purged. */
  projectName: string;
  sourceRegion: string;
  destinationRegion: string;
  sourceOrganizationId: string;
  destinationOrganizationId: string;
  /** The one of the two organizations that is in this region, and can see the migration here. */
  organizationId: string;
  state: MigrationState;
  /** The actor of this region's changes to the project: an account, or a staff certificate. */
  actor: string;
  requesterAccountId: string;
  requestTime: Date;
  accepterAccountId?: string;
  acceptTime?: Date;
  startTime?: Date;
  finishTime?: Date;
  rollbackOf?: string;
  /** The rollback of this migration; absent if there is none, or if it was cancelled. */
  rolledBackBy?: string;
  /** The rollback has begun and is not done. */
  isRollingBack?: true;
  failure?: string;
  progress: Partial<MigrationProgress>;
  purgeTime?: Date;
  /** Number of changes of the record. */
  revision: number;
  /** The last attempt at the cutover. */
  attempt: number;

  /** Source: when the attempt began, by the database's clock. */
  holdTime?: Date;
  /** Source: how long the last ended attempt held captures. */
  lastHoldMs?: number;
  /**
   * Source: the attempt after whose fence no process of this region writes an event of the project.
   */
  fencedAttempt?: number;
  /** Source: when the attempt was committed, by the database's clock. */
  commitTime?: Date;
  /** Source: the last noted revision of the destination's record. */
  notedRevision?: number;
  /** Source: subscribers know that the token has ended here. */
  isRetired?: true;
  /** Source: its events are being compared, and then removed. */
  isPurging?: true;
  /** Source: the number of the last purge; earlier ones can write nothing. */
  purgeNumber?: number;
  /** Source: a purge has begun to remove events, and may be finished or not. */
  isPartlyRemoved?: true;

  /**
   * Destination: the fence of the process that works on the migration; processes with smaller ones
   * can write nothing.
   */
  fence?: number;
  /** Destination: the rate limit of the copy as set by staff; absent: no limit. */
  bytesPerSecondMax?: number;
  /**
   * Postponement after failures: the number of consecutive failures, the time until which other
   * migrations have their turn, by the database's clock, and the reason, for people, until the work
   * continues.
   */
  putOff?: { tries: number; until: Date; why?: string };
  /**
   * Destination: the project was purged after the migration: here, or in the region to which it
   * has migrated from here.
   */
  isProjectPurged?: true;
  /**
   * Time since which this region does not store the project: it is purged, or a cancelled migration
   * has not brought it. The record expires a year later, because the other region may ask for it.
   */
  goneTime?: Date;
  /**
   * Destination: events of an earlier stay are stored here. They are compared rather than copied.
   */
  hasEvents?: true;
  /** Destination: staff has decided to discard unmatched events of an earlier stay. */
  discardsUnmatched?: true;
  /** Destination: a slot is reserved for the project, which is not stored yet. */
  hasSlot?: true;
  /** Destination: the attempt whose data has all arrived, so that the source may commit it. */
  arrivedAttempt?: number;
  /** Destination: the project's document of an earlier stay, until the attempt ends or is done. */
  displaced?: ProjectDocument;
  /**
   * Destination: number of attempts that do not count towards the maximum: those before the last
   * retry, and those for which the source was not ready.
   */
  attemptsBefore?: number;
};
