import { globSync, readFileSync } from 'node:fs';
import { status } from '@grpc/grpc-js';
import { combine } from '@silo/errors/combine.ts';
import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { Role } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { loadImage, siloMethods } from '@silo/protos/image.ts';
import test from 'ava';
import { explain } from '../explain.ts';
import { CallFailure } from '../failure.ts';
import { fieldText } from '../meaning.ts';
import { toText } from '../text.ts';

const prj = 'prj_01m8bcdvfmb2rnjwyf8p6k6xxx';
const time = new Date('2027-01-31');

// One refusal of each kind, with its details.
const refusals: SiloError[] = [
  errors.invalidField([{ field: 'project.settings.time_zone', description: 'is too long' }]),
  errors.tokenInvalid(),
  errors.scopeRequired('project:write'),
  errors.adminRequired(Level.LEVEL_OWNER),
  errors.keyRestricted(),
  errors.keyExceedsCaller('expire_time'),
  errors.keyExpired(time),
  errors.roleRequired([Role.ROLE_STAFF]),
  errors.signupClosed(),
  errors.accountNotFound('acc_1'),
  errors.organizationNotFound('org_us_1'),
  errors.projectNotFound(prj),
  errors.moveNotFound('mov_1'),
  errors.eventDeletionNotFound('evd_1'),
  errors.memberNotFound('acc_1'),
  errors.inviteNotFound('inv_1'),
  errors.inviteCodeInvalid(),
  errors.keyNotFound('key_1'),
  errors.emailTaken(),
  errors.alreadyMember('acc_1'),
  errors.lastOwner(),
  errors.organizationNotEmpty(2, 1),
  errors.lastProject(),
  errors.alreadyThere(),
  errors.crossRegion({ from: 'us', to: 'eu' }),
  errors.projectMigrated('eu', 'org_eu_1'),
  errors.noMigrationTo('eu'),
  errors.migrationElsewhere('eu'),
  errors.projectLimit({ organizationId: 'org_us_1', limit: 1, count: 1 }),
  errors.projectNotActive({ projectId: prj, state: ProjectState.PROJECT_STATE_DELETED }),
  errors.projectNotDeleted({ projectId: prj, state: ProjectState.PROJECT_STATE_ACTIVE }),
  errors.planChanged([
    { what: 'losing', description: 'Other people would lose access.' },
    { what: 'gaining', description: 'Other people would gain access.' },
  ]),
  errors.planRequired({ organizationId: 'org_us_1', feature: 'migrations' }),
  errors.migrationNotFound('mig_us_1'),
  errors.migrationState({ migrationId: 'mig_us_1', state: MigrationState.MIGRATION_STATE_DONE }),
  errors.migrationInProgress({ projectId: prj, migrationId: 'mig_us_1' }),
  errors.moveIsUndo('mov_1'),
  errors.moveUndone('mov_1'),
  errors.moveFinalized(),
  errors.undoExpired(time),
  errors.moveSuperseded(prj),
  errors.projectGone(prj),
  errors.resourceLimit('keys', 100),
  errors.rateLimited('account', 4_000),
  errors.etagMismatch(),
  errors.fingerprintMismatch(),
  errors.requestInProgress(),
  errors.requestIdReused(),
  errors.billingDetailsRequired(),
  errors.planLimitExceeded({ limit: 1, count: 2 }),
  errors.notReady('the subscription'),
  errors.dependencyUnavailable('org'),
  errors.draining(),
  errors.propagationUnconfirmed(),
  errors.internal('call-1'),
  errors.unknownMethod('/silo.org.v1.OrganizationService/Get'),
  errors.callEnded('deadline'),
  combine([errors.moveFinalized(), errors.moveSuperseded(prj)]),
];

// Names of RPCs and messages, and of proto fields and enum values.
const apiNames =
  /\b[A-Z][a-z]+([A-Z][a-z]+)+\b|\b(?!(org|prj|mov|mig|acc|key)_)[a-z]+(_[a-z]+)+\b|etag|\b(method|RPC)s?\b/;

for (const refusal of refusals) {
  const violations = refusal.details.preconditionFailure?.length ?? 0;
  test(`${refusal.reasonName} “${refusal.message}” (${violations}) shows people no name of the API`, (t) => {
    const { blocks, json } = explain(new CallFailure(refusal, refusal, 'request-1'));
    const text = toText(blocks, { colour: false });
    // The last line, with the reason and the ids, is for support.
    t.notRegex(text.replace(/^reason .*$/m, ''), apiNames);
    // The user gave a name, an e-mail, a code or nothing, but not an id.
    t.notRegex(text, /the id\b/);
    t.like(json, { error: { message: refusal.message, reason: refusal.reasonName } });
  });
}

test('the list contains every kind of error that the command can receive', (t) => {
  const tried = new Set(refusals.map(({ message }) => message));
  const internal = ['logCompacted', 'changesCompacted'];
  const made = Object.keys(errors).filter((name) => !internal.includes(name));
  t.is(tried.size, made.length);
});

// RPC names of one word, such as `Check`, also occur in ordinary sentences.
const rpcNames = siloMethods(loadImage())
  .map(({ method }) => method.name)
  .filter((name) => /^[A-Z][a-z]+[A-Z]/.test(name));
const rpcName = new RegExp(`\\b(${rpcNames.join('|')})\\b`);
const texts = /'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g;

test('no text that a service or the command shows to callers names an RPC', (t) => {
  const root = new URL('../../..', import.meta.url);
  const sources = globSync('{libs,services}/**/*.ts', {
    cwd: root,
    exclude: ['**/test/**', '**/node_modules/**', '**/gen/**'],
  });
  t.true(sources.length > 300);
  const found = sources.flatMap((path) => {
    const code = readFileSync(new URL(path, root), 'utf8').replace(/^\s*(\/?\*|\/\/).*$/gm, '');
    // A string of one word is a key, such as the name of a query.
    const sentences = (code.match(texts) ?? []).filter((text) => text.includes(' '));
    return sentences.filter((text) => rpcName.test(text)).map((text) => `${path}: ${text}`);
  });
  t.deepEqual(found, []);
});

test('a field is shown by the last part of its path', (t) => {
  t.is(fieldText('project.settings.time_zone'), 'time zone');
  t.is(fieldText('api_key.scopes[2]'), 'scopes');
  t.is(fieldText(''), 'request');
});

test('a refusal with a meaning for the command shows that meaning, and keeps its reason', (t) => {
  const refusal = errors.adminRequired(Level.LEVEL_ADMIN);
  const failure = new CallFailure(refusal, refusal, undefined).saying('You may not undo it.');
  const { blocks, json } = explain(failure);
  t.regex(toText(blocks, { colour: false }), /^error: You may not undo it\./);
  t.like(json, {
    error: { reason: 'ADMIN_REQUIRED', code: status[status.PERMISSION_DENIED] },
  });
});
