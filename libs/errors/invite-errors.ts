import { status } from '@grpc/grpc-js';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { make, notFound } from './make.ts';

const { ERROR_REASON_INVITE_NOT_FOUND } = ErrorReason;

/** The errors of invites: part of `errors`. */
export const inviteErrors = {
  inviteNotFound: (id: string) => notFound(ERROR_REASON_INVITE_NOT_FOUND, 'invite', id),
  /** For an invite named by its code, which is a secret, so the error repeats nothing of it. */
  inviteCodeInvalid: () =>
    make(
      status.NOT_FOUND,
      ERROR_REASON_INVITE_NOT_FOUND,
      'The code of the invite is unknown, used, withdrawn, expired or no longer valid, or it is for another e-mail. Ask an admin of the organization for a new invite.',
      { details: { resourceInfo: { resourceType: 'invite', resourceName: '' } } },
    ),
};
