import type { Positions } from '@silo/guard/core/position.ts';

/** The state of one project's token: the one document that every change of it changes. */
export type ProjectDocument = {
  /** The project's id. */
  _id: string;
  /** Absent once the token is purged. */
  current?: { hash: Buffer; token: string; fingerprint: string; createTime: Date } | undefined;
  /** When the token was purged; absent before. */
  purgeTime?: Date | undefined;
  /** Counts the events of the token. */
  revision: number;
  /**
   * The last migration that brought a token, and the token's revision in the other region then. A late
   * repeat of its call changes nothing, and if it is cancelled, its end purges the token: no other
   * migration's does.
   */
  adopted?: { migrationId: string; revision: number };
  /**
   * The last migrations that are over here, whose late calls change nothing: those to this region bring no
   * token and take no other one's, those from here retire none.
   */
  over?: string[];
  /** The last migration that took the project away, and that it has not come back. */
  retiredBy?: string;
  isRetired?: true;
};

/** A live project token, by its hash. What is not here is unknown or revoked. */
export type ProjectTokenDocument = { _id: Buffer; projectId: string };

/** A project token that was revoked, by its hash: it is known whose it was. */
export type RevokedTokenDocument = { _id: Buffer; projectId: string; revokeTime: Date };

/** One secret of an API key, as far as it is stored. */
export type KeySecret = {
  hash: Buffer;
  masked: string;
  fingerprint: string;
  /** End of the overlap; absent on the current secret. */
  expireTime?: Date | undefined;
};

/** An API key. */
export type KeyDocument = {
  _id: string;
  accountId: string;
  name: string;
  scopes: string[];
  organizationIds: string[];
  projectIds: string[];
  expireTime?: Date | undefined;
  disabled: boolean;
  /** The current secret, then, during an overlap, the one before it. */
  secrets: [KeySecret, ...KeySecret[]];
  /** Counts the events of the key. */
  revision: number;
  createTime: Date;
  updateTime: Date;
  lastUseTime?: Date | undefined;
};

/** The fact of one secret: what its key says, written with every change of the key. */
export type KeySecretDocument = {
  /** SHA-256 of the secret. */
  _id: Buffer;
  keyId: string;
  accountId: string;
  scopes: string[];
  organizationIds: string[];
  projectIds: string[];
  /** The earlier of the key's expiry and the overlap's end. */
  expireTime?: Date | undefined;
  disabled: boolean;
};

/** What every change of an account's keys changes, so that they happen one after another. */
export type AccountDocument = {
  _id: string;
  revision: number;
  /** The key that the account was created with, which may be deleted since. */
  firstKeyId?: string | undefined;
};

/** A secret that ended by a call of its own, which may be repeated with it. */
export type EndedKeyDocument = {
  _id: Buffer;
  keyId: string;
  accountId: string;
  /** The request that ended it. */
  requestKey?: Uint8Array;
  expireTime: Date;
};

/** A guard's lease. */
export type LeaseDocument = {
  _id: string;
  /** The identity in the certificate that acquired it, such as `service/org`. */
  owner: string;
  guardName: string;
  /** Counts its renewals. */
  version: number;
  acknowledged: Positions;
  leaseMs: number;
  /** Absent until it is released: from then on the id is never a lease again. */
  releaseTime?: Date | undefined;
};

/** A key that authenticates event batches. */
export type BroadcastKeyDocument = {
  /** 1, 2, 3 …: two replicas make the next one once. */
  _id: number;
  keyId: string;
  secret: Buffer;
  /** By the database's clock. */
  createTime: Date;
};

/** What the secrets of leases' acknowledgements are derived from: one document. */
export type LeaseRootDocument = { _id: 'acknowledgements'; secret: Buffer };

/** What every guard must have applied: one document. */
export type RequirementDocument = { _id: 'required' } & Positions;
