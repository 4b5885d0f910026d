import { Metadata, status } from '@grpc/grpc-js';
import { combine } from '@silo/errors/combine.ts';
import { errors } from '@silo/errors/errors.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import test from 'ava';
import { type ExitName, exitCodes, exitMeanings } from '../exit-codes.ts';
import { explain } from '../explain.ts';
import { CallFailure, Failure, Interrupted } from '../failure.ts';
import { toText } from '../text.ts';

function textOf(error: unknown): string {
  return toText(explain(error).blocks, { colour: false });
}

function refused(refusal: SiloError, requestId?: string): CallFailure {
  return new CallFailure(refusal, refusal, requestId);
}

function unanswered(code: number, requestId?: string, details = 'nobody there'): CallFailure {
  const error = new Error(`${code} ${status[code]}: ${details}`);
  const cause = Object.assign(error, { code, details, metadata: new Metadata() });
  return new CallFailure(cause, undefined, requestId);
}

const tooLarge = 'Received message larger than max (4398498 vs 4194304)';

const exits: [what: string, error: unknown, exit: ExitName][] = [
  ['a field with invalid content', refused(errors.invalidField([])), 'usage'],
  ['a dead key', refused(errors.tokenInvalid()), 'hidden'],
  ['a missing scope', refused(errors.scopeRequired('project:write')), 'hidden'],
  ['a resource that does not exist', refused(errors.projectNotFound('prj_1')), 'hidden'],
  ['a rule', refused(errors.lastProject()), 'refused'],
  ['a quota', refused(errors.resourceLimit('keys', 100)), 'refused'],
  ['an e-mail that is taken', refused(errors.emailTaken()), 'refused'],
  ['an etag', refused(errors.etagMismatch()), 'changed'],
  ['a request that is still running', refused(errors.requestInProgress()), 'unavailable'],
  ['what is being set up', refused(errors.notReady('slots')), 'unavailable'],
  ['a rate', refused(errors.rateLimited('account', 4_000)), 'unavailable'],
  ['a deadline', refused(errors.callEnded('deadline')), 'unavailable'],
  ['a bug of Silo', refused(errors.internal('call-1')), 'bug'],
  ['a server that is down', unanswered(status.UNAVAILABLE), 'unavailable'],
  ['an answer of another protocol', unanswered(status.UNKNOWN), 'bug'],
  [
    'an answer that is too large',
    unanswered(status.RESOURCE_EXHAUSTED, undefined, tooLarge),
    'bug',
  ],
  ['a connection that is to slow down', unanswered(status.RESOURCE_EXHAUSTED), 'unavailable'],
  ['a connection that should slow down', new TypeError('x is undefined'), 'bug'],
  ['Ctrl-C', new Interrupted('SIGINT', { requestId: undefined }), 'interrupted'],
  ['SIGTERM', new Interrupted('SIGTERM'), 'terminated'],
  ['an unconfirmed name', new Failure('notConfirmed', 'No.'), 'notConfirmed'],
];

for (const [what, error, exit] of exits) {
  test(`${what} ends the command with ${exitCodes[exit]} (${exit})`, (t) => {
    const explained = explain(error);
    t.is(explained.exit, exit);
    t.like(explained.json, { error: { exit: exitCodes[exit] } });
    t.regex(textOf(error), /^error: ./);
  });
}

test('a message that is too large is reported as such, not as a rule violation', (t) => {
  const text = textOf(unanswered(status.RESOURCE_EXHAUSTED, undefined, tooLarge));
  t.regex(text, /^error: A message is too large for gRPC: .*4398498/);
  t.regex(text, /next: +report it/);
});

test('a connection that cannot be opened is described without terms of gRPC', (t) => {
  const last = 'Last error: Error: connect ECONNREFUSED 127.0.0.1:7101';
  const details = `No connection established. ${last}. Resolution note: `;
  const text = textOf(unanswered(status.UNAVAILABLE, undefined, details));
  t.regex(
    text,
    /^error: No answer from Silo: no connection to 127\.0\.0\.1:7101: ECONNREFUSED\.\n/,
  );
  t.notRegex(text, /Last error|Resolution note/);
  const short = textOf(unanswered(status.UNAVAILABLE, undefined, 'No connection established'));
  t.regex(short, /^error: No answer from Silo: no connection\.\n/);
});

test('a silent server is named, and described without terms of gRPC', (t) => {
  const details = 'Deadline exceeded after 19.998s,Waiting for LB pick';
  const cause = Object.assign(new Error(details), {
    ...{ code: status.DEADLINE_EXCEEDED, details, metadata: new Metadata() },
  });
  const at = '127.0.0.1:7101 (org)';
  const failure = new CallFailure(cause, undefined, 'request-1', { at });
  const text = textOf(failure.advising('look').saying('Nothing.'));
  t.regex(text, /Nothing\./);
  t.regex(
    textOf(failure),
    /^error: No answer from Silo: 127\.0\.0\.1:7101 \(org\) did not answer within 20 s\.\nnext: +is it running, and are the addresses right \(silo profiles\)\? .* --request-id request-1/,
  );
  t.is(explain(failure).exit, 'unavailable');
  const nowhere = new CallFailure(cause, undefined, undefined);
  t.regex(textOf(nowhere), /^error: No answer from Silo: it did not answer within 20 s\.\n/);
  const other = unanswered(status.DEADLINE_EXCEEDED, undefined, 'Deadline exceeded');
  t.regex(textOf(other), /^error: No answer from Silo: it did not answer in time\.\n/);
});

test('the exit codes are distinct, and each is explained', (t) => {
  const codes = Object.values(exitCodes);
  t.is(new Set(codes).size, codes.length);
  t.deepEqual(Object.keys(exitMeanings), Object.keys(exitCodes));
});

test('a rate limit is reported with the time to wait', (t) => {
  t.regex(
    textOf(refused(errors.rateLimited('account', 3_200))),
    /next: +wait 4 s, then run it again/,
  );
});

test('an error is shown with the next step, the reason and the request id', (t) => {
  const slots = { organizationId: 'org_us_1', limit: 1, count: 1 };
  const text = textOf(refused(errors.projectLimit(slots), 'request-1'));
  t.regex(text, /next: {2}silo plan list, then silo plan change PLAN --org org_us_1/);
  t.regex(text, /reason PROJECT_LIMIT · request request-1/);
});

test('an error with a reason that only newer servers have is shown as an error of Silo', (t) => {
  const newer = new SiloError({
    ...{ code: status.FAILED_PRECONDITION, message: 'The moon is full.' },
    ...{ reason: ErrorReason.ERROR_REASON_UNSPECIFIED, reasonName: 'MOON_FULL' },
  });
  t.is(explain(refused(newer)).exit, 'refused');
  t.is(textOf(refused(newer)), 'error: The moon is full.\nreason MOON_FULL\n');
});

test('all violations of an error are shown', (t) => {
  const slots = { organizationId: 'org_us_1', limit: 1, count: 1 };
  const refusal = combine([errors.lastProject(), errors.projectLimit(slots)]);
  const text = textOf(refused(refusal));
  t.regex(text, /^ {2}A move must leave/m);
  t.regex(text, /^ {2}The organization has 1/m);
  t.like(explain(refused(refusal)).json, {
    error: { violations: { 0: { type: 'LAST_PROJECT' }, 1: { type: 'PROJECT_LIMIT' } } },
  });
});

test('fields are shown to people by name, and to scripts by path', (t) => {
  const refusal = errors.invalidField([{ field: 'project.name', description: 'is too long' }]);
  t.regex(textOf(refused(refusal)), /^ {2}name: is too long$/m);
  t.like(explain(refused(refusal)).json, {
    error: { fieldViolations: [{ field: 'project.name', description: 'is too long' }] },
  });
});

test('a bug of Silo is shown with the id of the call, which is in its log lines', (t) => {
  t.regex(textOf(refused(errors.internal('call-1'))), /reason INTERNAL · call call-1/);
});

test('if the outcome is unknown, the error shows how to learn it', (t) => {
  const again = /--request-id request-1/;
  t.regex(textOf(refused(errors.dependencyUnavailable('org'), 'request-1')), again);
  t.regex(textOf(unanswered(status.UNAVAILABLE, 'request-1')), again);
  t.regex(textOf(new Interrupted('SIGINT', { requestId: 'request-1' })), again);
  t.is(textOf(new Interrupted('SIGINT')), 'Stopped.\n', 'not an error: no change was pending');
  t.is(explain(new Interrupted('SIGINT')).exit, 'interrupted');
  const secret = textOf(new Interrupted('SIGINT', { requestId: undefined }));
  t.regex(secret, /the change may have been made/);
  t.notRegex(secret, /--request-id/);
});
