import { bareName } from '@silo/protos/enum-name.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';

const prefix = 'ERROR_REASON_';

const byName = new Map<string, ErrorReason>(
  Object.entries(ErrorReason).map(([name, reason]) => [name.slice(prefix.length), reason]),
);

/** A reason's name on the wire: the enum value's name without its prefix. */
export type ReasonName = keyof typeof ErrorReason extends `ERROR_REASON_${infer Name}`
  ? Name
  : never;

/** The reason as ErrorInfo carries it, such as `TOKEN_INVALID`. */
export function reasonName(reason: ErrorReason): string {
  return bareName(ErrorReason, reason);
}

/** The reason with this name; undefined if this build does not know it. */
export function reasonNamed(name: string): ErrorReason | undefined {
  return byName.get(name);
}
