import { Metadata, status } from '@grpc/grpc-js';
import { ErrorInfo } from '@silo/protos/gen/google/rpc/error_details.ts';
import { Status } from '@silo/protos/gen/google/rpc/status.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import test from 'ava';
import { errors } from '../errors.ts';
import { from } from '../from.ts';
import { fromStatus, isServiceError, reasonOf } from '../from-status.ts';
import { reasonName } from '../reason-name.ts';
import { detailsKey, statusSizeBytesMax, toStatus } from '../to-status.ts';

/** The error of a grpc-js client that receives this status. */
function received(sent: { code: number; details: string; metadata: Metadata }): Error {
  return Object.assign(new Error(`${sent.code}: ${sent.details}`), sent);
}

function statusBytes(sent: { metadata: Metadata }): Buffer {
  const [bytes] = sent.metadata.get(detailsKey);
  if (!(bytes instanceof Buffer)) throw new TypeError('no details were sent');
  return bytes;
}

test('an error is unchanged after it is encoded and decoded', (t) => {
  const refusals = [
    errors.invalidField([{ field: 'email', description: 'must be an e-mail' }]),
    errors.projectLimit({ organizationId: 'org_us_1', limit: 1, count: 1 }),
    errors.lastProject(),
    errors.projectNotFound('prj_1'),
    errors.requestInProgress(),
    errors.internal('01k'),
  ];
  for (const refusal of refusals) {
    const decoded = fromStatus(received(toStatus(refusal)));
    t.is(decoded?.code, refusal.code);
    t.is(decoded?.reason, refusal.reason);
    t.is(decoded?.message, refusal.message);
    t.deepEqual(decoded?.metadata, refusal.metadata);
    t.deepEqual(decoded?.details, refusal.details);
  }
});

test('an error of Silo is not an error of a client, though it has a code and metadata', (t) => {
  t.false(isServiceError(errors.dependencyUnavailable('mongodb')));
  t.true(isServiceError(received(toStatus(errors.dependencyUnavailable('mongodb')))));
});

test('every error has an ErrorInfo with the reason without prefix and the domain silo.internal', (t) => {
  const decoded = Status.decode(statusBytes(toStatus(errors.tokenInvalid())));
  const [first] = decoded.details;
  t.is(first?.typeUrl, 'type.googleapis.com/google.rpc.ErrorInfo');
  const info = ErrorInfo.decode(first?.value ?? Buffer.alloc(0));
  t.like(info, { reason: 'TOKEN_INVALID', domain: 'silo.internal', metadata: {} });
});

test('a status is at most 4 KiB and reports how many violations it omits', (t) => {
  const violations = Array.from({ length: 1_000 }, (_, index) => ({
    field: `events[${index}].${'x'.repeat(1_000)}`,
    description: 'é'.repeat(1_000),
  }));
  const sent = toStatus(errors.invalidField(violations));
  t.true(statusBytes(sent).length <= statusSizeBytesMax);
  const decoded = fromStatus(received(sent));
  const kept = decoded?.details.badRequest?.length ?? 0;
  t.true(kept > 0);
  t.is(decoded?.metadata.truncated, String(violations.length - kept));
});

test('an error that differs from an earlier one in any part is encoded as itself', (t) => {
  const refusals = [
    errors.rateLimited('address', 1_000),
    errors.rateLimited('address', 2_000),
    errors.rateLimited('account', 1_000),
    errors.projectNotFound('prj_1'),
    errors.projectNotFound('prj_2'),
    errors.organizationNotFound('prj_1'),
    errors.invalidField([{ field: 'a', description: 'b' }]),
    errors.invalidField([{ field: 'a', description: 'c' }]),
  ];
  const encoded = () => refusals.map((refusal) => statusBytes(toStatus(refusal)).toString('hex'));
  const first = encoded();
  t.is(new Set(first).size, refusals.length);
  t.deepEqual(encoded(), first);
});

test('texts of any length with any characters, including lone surrogates, are sent', (t) => {
  const sent = toStatus(errors.unknownMethod(`/${'\ud800😀'.repeat(5_000)}`));
  t.true(statusBytes(sent).length <= statusSizeBytesMax);
  t.notThrows(() => encodeURI(sent.details));
});

test('an error of another system has no Silo reason', (t) => {
  const bare = { code: status.INTERNAL, details: 'boom', metadata: new Metadata() };
  t.is(reasonOf(received(bare)), undefined);
  const foreign = new Metadata();
  foreign.set(detailsKey, Buffer.from([1, 2, 3]));
  t.is(reasonOf(received({ ...bare, metadata: foreign })), undefined);
  t.is(reasonOf(new Error('no')), undefined);
});

/** An error with a reason for which this build has no number. */
function newerRefusal(reason: string): Error {
  const sent = toStatus(errors.lastProject());
  const newer = Status.decode(statusBytes(sent));
  const [info, ...others] = newer.details;
  const value = ErrorInfo.decode(info?.value ?? Buffer.alloc(0));
  const renamed = Buffer.from(ErrorInfo.encode({ ...value, reason }).finish());
  const details = [{ typeUrl: info?.typeUrl ?? '', value: renamed }, ...others];
  const metadata = new Metadata();
  metadata.set(detailsKey, Buffer.from(Status.encode({ ...newer, details }).finish()));
  return received({ ...sent, metadata });
}

test('a reason that only a newer release knows keeps its name, even when it is sent again', (t) => {
  const refusal = fromStatus(newerRefusal('REASON_OF_TOMORROW'));
  t.is(refusal?.reason, ErrorReason.ERROR_REASON_UNSPECIFIED);
  t.is(refusal?.reasonName, 'REASON_OF_TOMORROW');
  t.is(refusal?.message, errors.lastProject().message);
  t.deepEqual(refusal?.details, errors.lastProject().details);
  t.is(refusal && reasonOf(received(toStatus(refusal))), 'REASON_OF_TOMORROW');
});

test('a reason that is not a valid name is not a Silo reason', (t) => {
  for (const name of ['', 'constructor', 'two words', 'X'.repeat(64)]) {
    t.is(fromStatus(newerRefusal(name)), undefined, name);
  }
});

test('an enum number that only a newer release knows is shown as UNKNOWN', (t) => {
  t.is(reasonName(9_999 as ErrorReason), 'UNKNOWN (9999)');
  const { message, metadata } = errors.adminRequired(7 as Level);
  t.regex(message, /the level UNKNOWN \(7\) /);
  t.deepEqual(metadata, { level: 'UNKNOWN (7)' });
  t.regex(
    errors.projectNotActive({ projectId: 'prj_1', state: 7 as ProjectState }).message,
    /UNKNOWN \(7\)/,
  );
});

test('from() returns a SiloError unchanged', (t) => {
  const refusal = errors.lastOwner();
  t.is(from(refusal, { callId: '01k', ended: 'deadline' }), refusal);
});

test('from() converts an unknown error to INTERNAL and sends nothing of its message', (t) => {
  const bug = new Error('secret: hunter2');
  const refusal = from(bug, { callId: '01k' });
  t.is(refusal.reason, ErrorReason.ERROR_REASON_INTERNAL);
  t.is(refusal.details.requestInfo, '01k');
  t.is(refusal.cause, bug);
  t.false(statusBytes(toStatus(refusal)).includes('hunter2'));
});

test('from() recognises a failed dependency, a failed store and an ended call', (t) => {
  const reasons = (error: unknown) => reasonOf(from(error, { callId: '01k' }));
  t.is(reasons(received(toStatus(errors.emailTaken()))), 'DEPENDENCY_UNAVAILABLE');
  const store = Object.assign(new Error('down'), { name: 'MongoNetworkError' });
  t.is(reasons(store), 'DEPENDENCY_UNAVAILABLE');
  const conflict = Object.assign(new Error('conflict'), {
    hasErrorLabel: (label: string) => label === 'TransientTransactionError',
  });
  t.is(reasons(conflict), 'DEPENDENCY_UNAVAILABLE');
  t.is(reasons(new DOMException('gone', 'AbortError')), 'CALL_ENDED');
  t.is(reasons(new DOMException('late', 'TimeoutError')), 'CALL_ENDED');
  t.is(from(new Error('x'), { callId: '01k', ended: 'deadline' }).code, status.DEADLINE_EXCEEDED);
});
