import { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import test from 'ava';
import { decodePageToken, encodePageToken, pageSizeOf } from '../page-token.ts';

const query = { method: 'ListProjects', organizationId: 'org_us_1' };

test('a page token gives back the sort key, dates too', (t) => {
  const sortKey = ['näme', 7, new Date(1_000), true];
  t.deepEqual(decodePageToken(query, encodePageToken(query, sortKey)), sortKey);
  t.is(decodePageToken(query, ''), undefined);
});

test('a page token of another query, and what is none, is refused', (t) => {
  const token = encodePageToken(query, ['a']);
  const others = [
    encodePageToken({ ...query, organizationId: 'org_us_2' }, ['a']),
    ...[`${token}A`, token.slice(1), 'x', '%', 'ä', token.slice(0, 16), '\0'],
  ];
  for (const other of others) {
    const error = t.throws(() => decodePageToken(query, other), { instanceOf: SiloError }, other);
    t.is(error?.reason, ErrorReason.ERROR_REASON_INVALID_FIELD);
    t.is(error?.details.badRequest?.[0]?.field, 'page_token');
  }
});

test('a page holds 100 items by default, and 1,000 at most', (t) => {
  t.deepEqual([0, -1, 1, 100, 1_000, 1_001].map(pageSizeOf), [100, 100, 1, 100, 1_000, 1_000]);
});
