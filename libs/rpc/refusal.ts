import type { Refusal } from '@silo/access/access.ts';
import type { Dimension } from '@silo/access/reach.ts';
import { errors } from '@silo/errors/errors.ts';
import { reasonName } from '@silo/errors/reason-name.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';

/** The error for a request that exceeds the maximum size of its method. */
export function tooLarge(bytesMax: number): SiloError {
  return errors.invalidField([
    { field: '', description: `the request has more than ${bytesMax} bytes` },
  ]);
}

/** The error that a caller gets when access is denied. */
export function refusalError({ reason, detail, organizationId }: Refusal): SiloError {
  switch (reason) {
    case ErrorReason.ERROR_REASON_TOKEN_INVALID:
      return errors.tokenInvalid();
    case ErrorReason.ERROR_REASON_SCOPE_REQUIRED:
      return errors.scopeRequired(detail);
    case ErrorReason.ERROR_REASON_ADMIN_REQUIRED:
      return errors.adminRequired(detail);
    case ErrorReason.ERROR_REASON_KEY_RESTRICTED:
      return errors.keyRestricted();
    case ErrorReason.ERROR_REASON_KEY_EXCEEDS_CALLER:
      return errors.keyExceedsCaller(detail as Dimension);
    case ErrorReason.ERROR_REASON_KEY_NOT_FOUND:
      return errors.keyNotFound(detail);
    case ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND:
      return errors.organizationNotFound(detail);
    case ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND:
      return errors.projectNotFound(detail);
    case ErrorReason.ERROR_REASON_MOVE_NOT_FOUND:
      return errors.moveNotFound(detail);
    case ErrorReason.ERROR_REASON_NOT_READY:
      return errors.notReady('the project', 'is being cut over to another region');
    case ErrorReason.ERROR_REASON_CROSS_REGION:
      return errors.projectMigrated(detail, organizationId ?? '');
    default:
      throw new TypeError(`not a reason of an access decision: ${reasonName(reason)}`);
  }
}
