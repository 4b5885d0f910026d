import { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import test, { type ExecutionContext } from 'ava';
import {
  decodePageToken,
  encodePageToken,
  numberPart,
  pageSizeOf,
  textPart,
  timePart,
} from '../page-token.ts';

function refuses(t: ExecutionContext, decode: () => unknown) {
  const error = t.throws(decode, { instanceOf: SiloError });
  t.is(error?.reason, ErrorReason.ERROR_REASON_INVALID_FIELD);
  const description = 'is not a page token of this query. Leave it empty to start over.';
  t.deepEqual(error?.details.badRequest, [{ field: 'page_token', description }]);
}

const query = { method: 'ListProjects', organizationId: 'org_us_1' };

test('a page token returns the sort key, including dates', (t) => {
  const sortKey = ['näme', 7, new Date(1_000)];
  const parts = [textPart, numberPart, timePart] as const;
  t.deepEqual(decodePageToken(query, encodePageToken(query, sortKey), parts), sortKey);
  t.is(decodePageToken(query, '', parts), undefined);
});

test('a page token of another query, and what is none, is refused', (t) => {
  const token = encodePageToken(query, ['a']);
  const others = [
    encodePageToken({ ...query, organizationId: 'org_us_2' }, ['a']),
    ...[`${token}A`, token.slice(1), 'x', '%', 'ä', token.slice(0, 16), '\0'],
  ];
  for (const other of others) refuses(t, () => decodePageToken(query, other, [textPart]));
});

test('a forged sort key is refused: it has other parts than the query sorts by', (t) => {
  const forged = (...key: unknown[]) => encodePageToken(query, key);
  refuses(t, () => decodePageToken(query, forged({ $gt: '' }), [textPart]));
  refuses(t, () => decodePageToken(query, forged(), [textPart]));
  refuses(t, () => decodePageToken(query, forged('a', 'b'), [textPart]));
  refuses(t, () => decodePageToken(query, forged({ $gt: 0 }, 'a'), [timePart, textPart]));
  refuses(t, () => decodePageToken(query, forged(new Date(Number.NaN), 'a'), [timePart, textPart]));
  refuses(t, () => decodePageToken(query, forged('3'), [numberPart]));
});

test('a page holds 100 items by default, and 1,000 at most', (t) => {
  t.deepEqual([0, -1, 1, 100, 1_000, 1_001].map(pageSizeOf), [100, 100, 1, 100, 1_000, 1_000]);
});
