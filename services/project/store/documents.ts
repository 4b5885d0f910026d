import type { TryResult } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import type { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
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
  /** The move that brought it where it is; absent if it has never been moved. */
  moveId?: string;
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
