import type { DescMessage } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { Propagation } from '@silo/protos/gen/silo/common/v1/propagation.ts';

/**
 * Waits until no guard accepts the access that these events have ended; without events, until
 * everything decided so far has reached every guard. Refuses with PROPAGATION_UNCONFIRMED.
 */
export type Propagate = (eventIds: readonly string[], signal: AbortSignal) => Promise<Propagation>;

/** The number of a response's field `propagation`; undefined if it has none. */
export function compilePropagation({ fields }: DescMessage): number | undefined {
  const field = fields.find(({ name }) => name === 'propagation');
  const isOne = field?.message?.typeName === 'silo.common.v1.Propagation';
  return isOne ? field?.number : undefined;
}

/** An encoded answer with its propagation appended: the fields of a message may be in any order. */
export function withPropagation(
  answer: Uint8Array,
  field: number,
  propagation: Propagation,
): Buffer {
  const bytes = Propagation.encode(propagation).finish();
  const added = new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(bytes).finish();
  return Buffer.concat([answer, added]);
}
