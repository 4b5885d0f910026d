import type { Access } from '@silo/access/access.ts';
import { Authorization } from '@silo/access/authorization.ts';
import { errors } from '@silo/errors/errors.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type {
  ForwardCaptureRequest,
  ForwardCaptureResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import type { RateLimits } from '@silo/rpc/rate-limits.ts';
import { refusalError } from '@silo/rpc/refusal.ts';
import { hashOf } from '@silo/tokens/secrets.ts';
import { type CaptureDependencies, captureBatch } from '../../capture/capture-batch.ts';
import type { DeadTokenRequest } from '../../capture/dead-token-counter.ts';
import { isAllowedOrigin } from '../../rules/edge/allowed-origin.ts';

export type ForwardCaptureDependencies = {
  access: Pick<Access, 'permitToken'>;
  rates: Pick<RateLimits, 'takeProject'>;
  capture: CaptureDependencies;
  onDeadToken(request: DeadTokenRequest): void;
};

/** ForwardCapture: captures as the edge does, for a request that arrived in another region. */
export async function forwardCapture(
  { token, capture, origin, library }: ForwardCaptureRequest,
  { signal }: Call,
  dependencies: ForwardCaptureDependencies,
): Promise<ForwardCaptureResponse> {
  const answer = await dependencies.access.permitToken(token, signal);
  if (!answer.allowed) {
    const { reason } = answer.refusal;
    if (reason === ErrorReason.ERROR_REASON_TOKEN_INVALID) {
      dependencies.onDeadToken({ tokenHash: hashOf(token), library, origin });
    }
    throw refusalError(answer.refusal);
  }
  const authorization = new Authorization(answer.permit);
  try {
    if (!isAllowedOrigin(origin || undefined, answer.project.capture?.appUrls ?? [])) {
      const description = 'is not allowed by the project’s app_urls';
      throw errors.invalidField([{ field: 'origin', description }]);
    }
    const batch = capture ?? { events: [], superProperties: '' };
    // Captures wait in the other region, which asks whether they must continue to wait.
    if (batch.events.length === 0) return { outcomes: [] };
    await dependencies.rates.takeProject(answer.projectId);
    return {
      outcomes: await captureBatch(answer, batch, { signal, authorization }, dependencies.capture),
    };
  } finally {
    authorization.release();
  }
}
