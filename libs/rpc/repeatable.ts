import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import { findMethod, loadImage } from '@silo/protos/image.ts';

/** Whether the proto says that calling the method of this gRPC path twice does no harm. */
export function isRepeatable(path: string): boolean {
  const level = findMethod(loadImage(), path)?.idempotency;
  return level !== undefined && level !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
}
