import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';

/** An account. */
export type AccountDocument = {
  _id: string;
  /** As it was given; `comparableEmail` is what is unique. */
  email: string;
  comparableEmail: string;
  displayName: string;
  /** Empty where none is chosen. */
  currentProjectId: string;
  revision: number;
  createTime: Date;
  updateTime: Date;
};

/** An organization: also the one document that every change of its members and invites changes. */
export type OrganizationDocument = {
  _id: string;
  name: string;
  membersMayCreateProjects: boolean;
  ownerCount: number;
  memberCount: number;
  /** Counts the changes of its members, and orders their events. */
  memberRevision: number;
  /** Counts the changes of its invites that change nothing else here. Absent: none yet. */
  inviteRevision?: number;
  /** Counts the changes of the organization itself. */
  revision: number;
  /** Counts the intents to delete it. */
  deletionRevision: number;
  createTime: Date;
  updateTime: Date;
  /** Absent while the organization is open. */
  deleteTime?: Date;
};

/** A membership. Its id holds both ids, so that a fact is one read of one document. */
export type MembershipDocument = {
  /** `<account id>/<organization id>`. */
  _id: string;
  accountId: string;
  organizationId: string;
  level: Level;
  /** The organization's `memberRevision` at the last change. */
  revision: number;
  joinTime: Date;
};

/** An invite that has not been accepted; it may have expired a moment ago. */
export type InviteDocument = {
  _id: string;
  organizationId: string;
  email: string;
  comparableEmail: string;
  level: Level;
  inviterAccountId: string;
  /** SHA-256 of the code. */
  codeHash: Uint8Array;
  createTime: Date;
  expireTime: Date;
};
