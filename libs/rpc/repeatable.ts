import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import { findMethod, loadImage } from '@silo/protos/image.ts';

/** Whether the proto declares that repeating the method of this gRPC path has no effect. */
export function isRepeatable(path: string): boolean {
  const level = findMethod(loadImage(), path)?.idempotency;
  return level !== undefined && level !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
}
