import { Metadata, status } from '@grpc/grpc-js';
import { ErrorInfo } from '@silo/protos/gen/google/rpc/error_details.ts';
import { Status } from '@silo/protos/gen/google/rpc/status.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import test from 'ava';
import { errors } from '../errors.ts';
import { from } from '../from.ts';
import { fromStatus, reasonOf } from '../from-status.ts';
import { reasonName } from '../reason-name.ts';
import { detailsKey, statusSizeBytesMax, toStatus } from '../to-status.ts';

/** What a grpc-js client rejects with after a server has sent this. */
function received(sent: { code: number; details: string; metadata: Metadata }): Error {
  return Object.assign(new Error(`${sent.code}: ${sent.details}`), sent);
}

function statusBytes(sent: { metadata: Metadata }): Buffer {
  const [bytes] = sent.metadata.get(detailsKey);
  if (!(bytes instanceof Buffer)) throw new TypeError('no details were sent');
  return bytes;
}

test('a refusal survives the wire whole', (t) => {
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

test('every error has an ErrorInfo with the bare reason and our domain', (t) => {
  const decoded = Status.decode(statusBytes(toStatus(errors.tokenInvalid())));
  const [first] = decoded.details;
  t.is(first?.typeUrl, 'type.googleapis.com/google.rpc.ErrorInfo');
  const info = ErrorInfo.decode(first?.value ?? Buffer.alloc(0));
  t.like(info, { reason: 'TOKEN_INVALID', domain: 'silo.internal', metadata: {} });
});

test('a status never measures more than 4 KiB, and says how many violations it left out', (t) => {
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

test('texts of any length and any characters, half ones too, are sent', (t) => {
  const sent = toStatus(errors.unknownMethod(`/${'\ud800😀'.repeat(5_000)}`));
  t.true(statusBytes(sent).length <= statusSizeBytesMax);
  t.notThrows(() => encodeURI(sent.details));
});

test('an error of somebody else has no reason of ours', (t) => {
  const bare = { code: status.INTERNAL, details: 'boom', metadata: new Metadata() };
  t.is(reasonOf(received(bare)), undefined);
  const foreign = new Metadata();
  foreign.set(detailsKey, Buffer.from([1, 2, 3]));
  t.is(reasonOf(received({ ...bare, metadata: foreign })), undefined);
  t.is(reasonOf(new Error('no')), undefined);
});

/** A refusal with a reason that this build has no number for. */
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

test('a reason that only a newer release knows keeps its name, on the wire too', (t) => {
  const refusal = fromStatus(newerRefusal('REASON_OF_TOMORROW'));
  t.is(refusal?.reason, ErrorReason.ERROR_REASON_UNSPECIFIED);
  t.is(refusal?.reasonName, 'REASON_OF_TOMORROW');
  t.is(refusal?.message, errors.lastProject().message);
  t.deepEqual(refusal?.details, errors.lastProject().details);
  t.is(refusal && reasonOf(received(toStatus(refusal))), 'REASON_OF_TOMORROW');
});

test('a reason that is no name is none of ours', (t) => {
  for (const name of ['', 'constructor', 'two words', 'X'.repeat(64)]) {
    t.is(fromStatus(newerRefusal(name)), undefined, name);
  }
});

test('a number that only a newer release knows is named as unknown', (t) => {
  t.is(reasonName(9_999 as ErrorReason), 'UNKNOWN (9999)');
  const { message, metadata } = errors.adminRequired(7 as Level);
  t.regex(message, /the level UNKNOWN \(7\) /);
  t.deepEqual(metadata, { level: 'UNKNOWN (7)' });
  t.regex(
    errors.projectNotActive({ projectId: 'prj_1', state: 7 as ProjectState }).message,
    /UNKNOWN \(7\)/,
  );
});

test('the funnel lets refusals pass as they are', (t) => {
  const refusal = errors.lastOwner();
  t.is(from(refusal, { callId: '01k', ended: 'deadline' }), refusal);
});

test('the funnel makes a bug of what it does not know, and tells nothing of it', (t) => {
  const bug = new Error('secret: hunter2');
  const refusal = from(bug, { callId: '01k' });
  t.is(refusal.reason, ErrorReason.ERROR_REASON_INTERNAL);
  t.is(refusal.details.requestInfo, '01k');
  t.is(refusal.cause, bug);
  t.false(statusBytes(toStatus(refusal)).includes('hunter2'));
});

test("the funnel knows a dependency's failure, the store's failure and the end of a call", (t) => {
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
