import type { TryResult } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import type { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';

export type StoredSettings = { timeZone: string; appUrls: string[]; anonymizeIps: boolean };

/** A project as it is stored. */
export type ProjectDocument = {
  _id: string;
  organizationId: string;
  name: string;
  /** The name as it is searched and sorted. */
  searchName: string;
  settings: StoredSettings;
  state: ProjectState;
  /** Counts the changes; the etag is made of it. */
  revision: number;
  createTime: Date;
  updateTime: Date;
  /** Only of a deleted project. */
  purgeTime?: Date;
};

/** The last try of one kind, with what it was answered. */
export type Tried = { revision: number; result: TryResult; count: number };

/**
 * How many projects an organization may have, and how many it has. Whoever creates, moves or
 * deletes a project really changes this document, so that snapshots allow no write skew.
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
  revision: number;
  tries: { limit?: Tried; close?: Tried };
};

/** A move as it is stored. */
export type MoveDocument = {
  _id: string;
  projectId: string;
  sourceOrganizationId: string;
  destinationOrganizationId: string;
  actorAccountId: string;
  moveTime: Date;
};
