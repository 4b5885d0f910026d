import type { Refusal } from '@silo/access/access.ts';
import type { Refusal as RefusalMessage } from '@silo/protos/gen/silo/token/internal/v1/access_service.ts';
import { refusalError } from '@silo/rpc/refusal.ts';

/** A refusal as an answer: the reason, and what an error would say of it. */
export function toRefusal(refusal: Refusal): RefusalMessage {
  return { reason: refusal.reason, description: refusalError(refusal).message };
}
