import type {
  VerifyTokenRequest,
  VerifyTokenResponse,
} from '@silo/protos/gen/silo/token/internal/v1/access_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';
import { toRefusal } from './to-refusal.ts';

/** VerifyToken: whose token it is, whatever was sent as one. */
export const createVerifyToken =
  ({ access }: Dependencies): Handler<VerifyTokenRequest, VerifyTokenResponse> =>
  async ({ token }, { signal }) => {
    const answer = await access.verifyToken(token, signal);
    if (!answer.allowed) {
      return { answer: { $case: 'refusal', value: toRefusal(answer.refusal) } };
    }
    const { projectId, organizationId } = answer;
    return { answer: { $case: 'facts', value: { projectId, organizationId } } };
  };
