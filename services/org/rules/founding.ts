import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  AccountDocument,
  MembershipDocument,
  OrganizationDocument,
} from '../store/documents.ts';
import { comparable } from './email.ts';

/** A newly created account. */
export function newAccount(made: {
  accountId: string;
  email: string;
  displayName: string;
  createTime: Date;
}): AccountDocument {
  const { accountId, email, displayName, createTime } = made;
  return {
    _id: accountId,
    email,
    comparableEmail: comparable(email),
    displayName,
    currentProjectId: '',
    revision: 1,
    createTime,
    updateTime: createTime,
  };
}

/** A newly created organization. Its owner is its only member. */
export function newOrganization(made: {
  organizationId: string;
  organizationName: string;
  createTime: Date;
}): OrganizationDocument {
  const { organizationId, organizationName, createTime } = made;
  return {
    _id: organizationId,
    name: organizationName,
    membersMayCreateProjects: true,
    ownerCount: 1,
    memberCount: 1,
    memberRevision: 1,
    revision: 1,
    deletionRevision: 0,
    createTime,
    updateTime: createTime,
  };
}

/** The membership of an organization's first owner. */
export function firstMembership(made: {
  organizationId: string;
  accountId: string;
  createTime: Date;
}): Omit<MembershipDocument, '_id'> {
  const { organizationId, accountId, createTime: joinTime } = made;
  return { organizationId, accountId, level: Level.LEVEL_OWNER, revision: 1, joinTime };
}
