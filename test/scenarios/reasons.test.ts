import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import type { ReasonName } from '@silo/errors/reason-name.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import anyTest, { type TestFn } from 'ava';
import { refused } from '../harness/refusals.ts';
import { startTestRegions, type TestRegions } from '../harness/regions.ts';
import { refusals } from './refusals.ts';

// Some reasons require broken data, so the invariants are not checked here.
const test = (anyTest as TestFn<{ regions: TestRegions }>).serial;
test.before(async (t) => {
  t.context = { regions: await startTestRegions() };
});
test.after.always((t) => t.context.regions?.[Symbol.asyncDispose]());

/** What the comment of a reason promises. */
type Documented = { codes: string[]; metadata: string[]; beside: string[] };

const detailNames: Record<string, keyof SiloError['details']> = {
  BadRequest: 'badRequest',
  QuotaFailure: 'quotaFailure',
  ResourceInfo: 'resourceInfo',
  RetryInfo: 'retryDelayMs',
  RequestInfo: 'requestInfo',
};

const documented = readComments(
  readFileSync(join(import.meta.dirname, '../../protos/silo/common/v1/error_reason.proto'), 'utf8'),
);

function readComments(proto: string): Map<string, Documented> {
  const all = proto.matchAll(/((?: {2}\/\/.*\n)+) {2}ERROR_REASON_(\w+) = \d+;/g);
  return new Map(
    [...all].map(([, comment = '', name = '']) => {
      const text = comment.replaceAll(/\s*\/\/\s*/g, ' ').trim();
      const [, codes = ''] = text.match(/^([A-Z_]+(?: or [A-Z_]+)*)\. /) ?? [];
      const [, keys = ''] = text.match(/Metadata: ([^.]*)\./) ?? [];
      return [
        name,
        {
          codes: codes.split(' or '),
          metadata: [...keys.matchAll(/`(\w+)`/g)].map(([, key = '']) => key),
          beside: Object.keys(detailNames).filter((detail) => text.includes(detail)),
        },
      ];
    }),
  );
}

test('the table causes every reason, except the one that is never sent', (t) => {
  const names = Object.keys(ErrorReason).map((name) => name.slice('ERROR_REASON_'.length));
  t.deepEqual(Object.keys(refusals).sort(), names.filter((name) => name !== 'UNSPECIFIED').sort());
  t.deepEqual([...documented.keys()].sort(), names.sort());
});

for (const [reason, trigger] of Object.entries(refusals)) {
  test(`${reason} is sent, with the code, the metadata and the details that its comment promises`, async (t) => {
    const { us, eu } = t.context.regions;
    const error = await refused(t, trigger(us, eu), reason as ReasonName);
    const promised = documented.get(reason) ?? { codes: [], metadata: [], beside: [] };
    t.true(promised.codes.includes(status[error.code] ?? ''), `its code is ${error.code}`);
    // After the keys, a comment may name their values.
    const keys = Object.keys(error.metadata);
    t.deepEqual(keys.toSorted(), promised.metadata.slice(0, keys.length).sort());
    t.is(keys.length === 0, promised.metadata.length === 0);
    for (const name of promised.beside) {
      const detail = detailNames[name];
      t.not(detail && error.details[detail], undefined, `${name} is among the details`);
    }
    if (error.code === status.NOT_FOUND) t.truthy(error.details.resourceInfo);
    if (error.code === status.FAILED_PRECONDITION) {
      t.is(error.details.preconditionFailure?.[0]?.type, reason);
    }
    if (error.code === status.UNAVAILABLE) t.true((error.details.retryDelayMs ?? 0) > 0);
  });
}
