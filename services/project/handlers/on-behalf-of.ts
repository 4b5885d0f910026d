import { errors } from '@silo/errors/errors.ts';
import type { OnBehalfOf } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';

/** On whose behalf a saga asks; its absence is a bad shape. */
export function requireOnBehalfOf(request: { onBehalfOf: OnBehalfOf | undefined }): OnBehalfOf {
  if (request.onBehalfOf !== undefined) return request.onBehalfOf;
  throw errors.invalidField([{ field: 'on_behalf_of', description: 'must be set' }]);
}
