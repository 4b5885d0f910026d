import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import { findMethod, loadImage } from '@silo/protos/image.ts';

/** Whether the proto says that the method of this gRPC path has no side effects. */
export function isReadOnly(path: string): boolean {
  const level = findMethod(loadImage(), path)?.idempotency;
  return level === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
}
