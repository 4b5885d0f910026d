import type { Positions } from '@silo/guard/core/position.ts';

/** The state of one project's token. Every change of the token changes this document. */
export type ProjectDocument = {
  /** The project's id. */
  _id: string;
  /** Absent once the token is purged. */
  current?: { hash: Buffer; token: string; fingerprint: string; createTime: Date } | undefined;
  /** Time at which the token was purged; absent before. */
  purgeTime?: Date | undefined;
  /** Number of events of the token. */
  revision: number;
  /**
   * The last migration that brought a token, and the revision that the token had in the other
   * region then. A late repeat of its call changes nothing. If the migration is cancelled, its end
   * purges the token; the end of another migration does not.
   */
  adopted?: { migrationId: string; revision: number };
  /**
   * The last migrations that are over in this region. Late calls of migrations to this region bring
   * no token and replace no other migration's token; late calls of migrations from here retire
   * none.
   */
  over?: string[];
  /** The last migration that took the project away. `isRetired` means that it has not come back. */
  retiredBy?: string;
  isRetired?: true;
};

/** A live project token, by its hash. A token without such a document is unknown or revoked. */
export type ProjectTokenDocument = { _id: Buffer; projectId: string };

/** A revoked project token, by its hash, with the project to which it belonged. */
export type RevokedTokenDocument = { _id: Buffer; projectId: string; revokeTime: Date };

/** One secret of an API key: only those parts that may be stored. */
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
  /** The current secret and, during an overlap, the previous one. */
  secrets: [KeySecret, ...KeySecret[]];
  /** Number of events of the key. */
  revision: number;
  createTime: Date;
  updateTime: Date;
  lastUseTime?: Date | undefined;
};

/** The fact of one secret: what its key allows. Every change of the key writes it, too. */
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

/**
 * Every change of an account's keys changes this document, so that they happen one after another.
 */
export type AccountDocument = {
  _id: string;
  revision: number;
  /** The key with which the account was created. It may have been deleted since. */
  firstKeyId?: string | undefined;
};

/** A secret that ended by its own request, which it may repeat. */
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
  /** Number of its renewals. */
  version: number;
  acknowledged: Positions;
  leaseMs: number;
  /** Absent until the lease is released. A released id is never a lease again. */
  releaseTime?: Date | undefined;
};

/** A key that authenticates event batches. */
export type BroadcastKeyDocument = {
  /** 1, 2, 3 …, so that two replicas create the next key only once. */
  _id: number;
  keyId: string;
  secret: Buffer;
  /** Set by the database's clock. */
  createTime: Date;
};

/**
 * The root from which the secrets of leases' acknowledgements are derived. There is one document.
 */
export type LeaseRootDocument = { _id: 'acknowledgements'; secret: Buffer };

/** The requirement: the positions that every guard must have applied. There is one document. */
export type RequirementDocument = { _id: 'required' } & Positions;
