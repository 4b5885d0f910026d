import type {
  GetProjectTokenRequest,
  GetProjectTokenResponse,
} from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { toProjectToken } from '../messages.ts';
import type { Dependencies } from './dependencies.ts';

/** GetProjectToken: the token that is live now. */
export const createGetProjectToken =
  ({ projectTokens }: Dependencies): Handler<GetProjectTokenRequest, GetProjectTokenResponse> =>
  async ({ projectId }, call) => ({
    projectToken: toProjectToken(await projectTokens.find(projectId, call.signal)),
  });
