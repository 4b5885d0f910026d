import { status } from '@grpc/grpc-js';
import { Role } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { loadCommentedImage } from '@silo/protos/image.ts';
import test from 'ava';
import { combine } from '../combine.ts';
import { errors } from '../errors.ts';
import { reasonName } from '../reason-name.ts';
import type { ErrorDetails, SiloError } from '../silo-error.ts';

// One sample of each error. A new constructor does not compile without an entry here.
const samples: Record<keyof typeof errors, SiloError[]> = {
  invalidField: [errors.invalidField([{ field: 'email', description: 'must be an e-mail' }])],
  tokenInvalid: [errors.tokenInvalid()],
  scopeRequired: [errors.scopeRequired('project:write')],
  adminRequired: [errors.adminRequired(Level.LEVEL_ADMIN)],
  keyRestricted: [errors.keyRestricted()],
  keyExceedsCaller: [errors.keyExceedsCaller('scopes')],
  keyExpired: [errors.keyExpired(new Date(0))],
  roleRequired: [errors.roleRequired([Role.ROLE_SERVICE, Role.ROLE_STAFF])],
  signupClosed: [errors.signupClosed()],
  accountNotFound: [errors.accountNotFound('acc_1')],
  organizationNotFound: [errors.organizationNotFound('org_us_1')],
  projectNotFound: [errors.projectNotFound('prj_1')],
  moveNotFound: [errors.moveNotFound('mov_1')],
  eventDeletionNotFound: [errors.eventDeletionNotFound('evd_1')],
  memberNotFound: [errors.memberNotFound('acc_1')],
  inviteNotFound: [errors.inviteNotFound('inv_1')],
  inviteCodeInvalid: [errors.inviteCodeInvalid()],
  keyNotFound: [errors.keyNotFound('key_1')],
  emailTaken: [errors.emailTaken()],
  alreadyMember: [errors.alreadyMember('acc_1')],
  lastOwner: [errors.lastOwner()],
  organizationNotEmpty: [errors.organizationNotEmpty(2, 1)],
  lastProject: [errors.lastProject()],
  alreadyThere: [errors.alreadyThere()],
  crossRegion: [errors.crossRegion({ from: 'us', to: 'eu' })],
  projectMigrated: [errors.projectMigrated('eu', 'org_eu_1'), errors.projectMigrated('eu', '')],
  projectLimit: [errors.projectLimit({ organizationId: 'org_us_1', limit: 1, count: 1 })],
  projectNotActive: [
    errors.projectNotActive({ projectId: 'prj_1', state: ProjectState.PROJECT_STATE_DELETED }),
  ],
  projectNotDeleted: [
    errors.projectNotDeleted({ projectId: 'prj_1', state: ProjectState.PROJECT_STATE_ACTIVE }),
  ],
  planChanged: [
    errors.planChanged([{ what: 'refusals', description: 'The refusals have changed.' }]),
  ],
  moveIsUndo: [errors.moveIsUndo('mov_1')],
  moveUndone: [errors.moveUndone('mov_1')],
  moveFinalized: [errors.moveFinalized()],
  undoExpired: [errors.undoExpired(new Date(0))],
  moveSuperseded: [errors.moveSuperseded('prj_1')],
  projectGone: [errors.projectGone('prj_1')],
  planRequired: [errors.planRequired({ organizationId: 'org_us_1', feature: 'migrations' })],
  noMigrationTo: [errors.noMigrationTo('eu')],
  migrationElsewhere: [errors.migrationElsewhere('eu')],
  migrationNotFound: [errors.migrationNotFound('mig_us_1')],
  migrationState: [
    errors.migrationState({ migrationId: 'mig_us_1', state: MigrationState.MIGRATION_STATE_DONE }),
  ],
  migrationInProgress: [
    errors.migrationInProgress({ projectId: 'prj_1', migrationId: 'mig_us_1' }),
  ],
  resourceLimit: [errors.resourceLimit('API keys', 100)],
  etagMismatch: [errors.etagMismatch()],
  fingerprintMismatch: [errors.fingerprintMismatch()],
  requestInProgress: [errors.requestInProgress()],
  requestIdReused: [errors.requestIdReused()],
  billingDetailsRequired: [errors.billingDetailsRequired()],
  planLimitExceeded: [errors.planLimitExceeded({ limit: 1, count: 3 })],
  notReady: [errors.notReady('the project token')],
  dependencyUnavailable: [errors.dependencyUnavailable('org')],
  draining: [errors.draining()],
  propagationUnconfirmed: [errors.propagationUnconfirmed()],
  logCompacted: [errors.logCompacted(42)],
  changesCompacted: [errors.changesCompacted()],
  internal: [errors.internal('01k')],
  unknownMethod: [errors.unknownMethod('/a.B/C')],
  rateLimited: [errors.rateLimited('address', 1_500)],
  callEnded: [errors.callEnded('cancelled'), errors.callEnded('deadline')],
};
const made = Object.values(samples).flat();

/** The comment of each reason in error_reason.proto, by the reason's name. */
const documented = new Map(
  loadCommentedImage()
    .types.getEnum('silo.common.v1.ErrorReason')
    ?.values.filter(({ number }) => number !== ErrorReason.ERROR_REASON_UNSPECIFIED)
    .map((value) => [value.name.replace('ERROR_REASON_', ''), commentOf(value.number)]) ?? [],
);

/** The leading comment of an enum value, as server reflection returns it. */
function commentOf(number: number): string {
  const described = loadCommentedImage().types.getEnum('silo.common.v1.ErrorReason');
  const file = described?.file.proto;
  const enumIndex = file?.enumType.findIndex(({ name }) => name === described?.name);
  const valueIndex = described?.proto.value.findIndex((value) => value.number === number);
  const path = [5, enumIndex, 2, valueIndex].join(); // numbers of the fields enum_type and value
  const location = file?.sourceCodeInfo?.location.find((one) => one.path.join() === path);
  return (location?.leadingComments ?? '').replaceAll('\n', ' ').replaceAll(/ +/g, ' ').trim();
}

test('every documented reason has a constructor, and every constructor a documented reason', (t) => {
  const reasons = new Set(made.map(({ reason }) => reasonName(reason)));
  t.deepEqual([...reasons].sort(), [...documented.keys()].sort());
});

test('a reason is sent with the status codes that its comment starts with', (t) => {
  for (const [name, comment] of documented) {
    const codes = made
      .filter(({ reason }) => reasonName(reason) === name)
      .map(({ code }) => status[code]);
    t.is(comment.slice(0, comment.indexOf('.')), [...new Set(codes)].join(' or '), name);
  }
});

/** Keys that a comment names, but that not every error with its reason has. */
const sometimes: Readonly<Record<string, readonly string[]>> = {
  CROSS_REGION: ['organization_id'],
};

test('an error carries the metadata keys that its comment names', (t) => {
  for (const { reason, metadata } of made) {
    const carried = Object.keys(metadata);
    const comment = documented.get(reasonName(reason)) ?? '';
    const optional = sometimes[reasonName(reason)] ?? [];
    const [, sentence = ''] = /Metadata: ([^.]*)\./.exec(comment) ?? [];
    // From "`exceeds`, one of `scopes`, …" only the key; from "`a`, `b`" all of them.
    const [keys = ''] = sentence.split(/, (?!`)/);
    const named = [...keys.matchAll(/`(\w+)`/g)].map(([, key]) => key);
    const expected = named.filter((key = '') => !optional.includes(key) || carried.includes(key));
    t.deepEqual(carried.sort(), expected.sort(), `${reasonName(reason)}: ${comment}`);
  }
});

test('an error with a given status code has the details that the design requires', (t) => {
  const demanded: Partial<Record<number, keyof ErrorDetails>> = {
    [status.INVALID_ARGUMENT]: 'badRequest',
    [status.FAILED_PRECONDITION]: 'preconditionFailure',
    [status.RESOURCE_EXHAUSTED]: 'quotaFailure',
    [status.NOT_FOUND]: 'resourceInfo',
    [status.UNAVAILABLE]: 'retryDelayMs',
    [status.INTERNAL]: 'requestInfo',
  };
  for (const { code, reason, details } of made) {
    const demand = demanded[code];
    if (demand !== undefined) t.truthy(details[demand], reasonName(reason));
    if (code === status.INTERNAL) t.deepEqual(Object.keys(details), ['requestInfo']);
  }
});

test('the errors for a hidden and an absent resource differ only in the id from the request', (t) => {
  const one = errors.projectNotFound('prj_1');
  const other = errors.projectNotFound('prj_2');
  t.is(one.message, other.message);
  t.deepEqual(one.details.resourceInfo, { resourceType: 'project', resourceName: 'prj_1' });
});

test('an error that repeats no id does not advise to check the id', (t) => {
  for (const { details, message } of made) {
    const echoed = details.resourceInfo?.resourceName;
    if (echoed !== undefined) t.is(/\bid\b/.test(message), echoed !== '', message);
  }
});

test('a combined error has the code and reason of the first violation and lists all violations', (t) => {
  const limit = errors.projectLimit({ organizationId: 'org_us_1', limit: 1, count: 1 });
  const refusal = combine([errors.lastProject(), limit]);
  t.is(refusal.code, status.FAILED_PRECONDITION);
  t.is(refusal.reason, ErrorReason.ERROR_REASON_LAST_PROJECT);
  const types = refusal.details.preconditionFailure?.map(({ type }) => type);
  t.deepEqual(types, ['LAST_PROJECT', 'PROJECT_LIMIT']);
  t.deepEqual(refusal.details.quotaFailure, limit.details.quotaFailure);
});

test('a combined error with a single quota violation keeps its code and adds the precondition', (t) => {
  const limit = errors.projectLimit({ organizationId: 'org_us_1', limit: 1, count: 1 });
  const refusal = combine([limit]);
  t.is(refusal.code, status.RESOURCE_EXHAUSTED);
  t.deepEqual(refusal.metadata, limit.metadata);
  t.is(refusal.details.preconditionFailure?.[0]?.subject, 'org_us_1');
});
