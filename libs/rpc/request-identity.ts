import { createHash } from 'node:crypto';
import type { DescMessage } from '@bufbuild/protobuf';
import type { RequestIdentity } from '@silo/mongo/mutation.ts';
import { hashRequestId } from '@silo/tokens/seal.ts';
import { compileFieldPath, type ReadText } from './field-path.ts';

/**
 * The location of a message's request_id, at the top or one message deep; undefined if it has none.
 */
export function compileRequestId(input: DescMessage): ReadText | undefined {
  const path = pathTo(input, 'request_id');
  return path === undefined ? undefined : compileFieldPath(input, path);
}

/** The owner of a request id if no caller is authenticated: the e-mail, in lower case. */
export function compileEmail(input: DescMessage): ReadText {
  const read = compileFieldPath(input, pathTo(input, 'email') ?? 'email');
  return (request) => read(request).toLowerCase();
}

/**
 * The identity of one request. `scope` is the owner of the id: an account, an e-mail, a
 * certificate.
 */
export function identify(
  scope: string,
  method: string,
  id: string,
  canonicalBytes: Uint8Array,
): RequestIdentity {
  const bodyHash = createHash('sha256').update(canonicalBytes).digest();
  return { id, key: hashRequestId(scope, method, id), bodyHash };
}

function pathTo(input: DescMessage, name: string): string | undefined {
  const isWanted = (field: { name: string }) => field.name === name;
  if (input.fields.some(isWanted)) return name;
  const outer = input.fields.find(
    (field) => field.fieldKind === 'message' && field.message.fields.some(isWanted),
  );
  return outer && `${outer.name}.${name}`;
}
