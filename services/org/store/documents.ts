import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';

/** An account. */
export type AccountDocument = {
  _id: string;
  /** The e-mail as it was given. Only `comparableEmail` is unique. */
  email: string;
  comparableEmail: string;
  displayName: string;
  /** Empty if no project is chosen. */
  currentProjectId: string;
  revision: number;
  createTime: Date;
  updateTime: Date;
};

/** An organization. Every change of its members or invites changes this document. */
export type OrganizationDocument = {
  _id: string;
  name: string;
  membersMayCreateProjects: boolean;
  ownerCount: number;
  memberCount: number;
  /** Number of changes of its members, which orders their events. */
  memberRevision: number;
  /** Number of changes of its invites that change no other field here. Absent: none yet. */
  inviteRevision?: number;
  /** Number of changes of the organization itself. */
  revision: number;
  /** Number of intents to delete it. */
  deletionRevision: number;
  createTime: Date;
  updateTime: Date;
  /** Absent while the organization is open. */
  deleteTime?: Date;
};

/** A membership. Its id consists of both ids, so that a fact fetch reads one document. */
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

/** An invite that has not been accepted. It may have expired and not been removed yet. */
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
