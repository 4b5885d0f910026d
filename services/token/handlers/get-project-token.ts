import type {
  GetProjectTokenRequest,
  GetProjectTokenResponse,
} from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { toProjectToken } from '../messages.ts';
import type { Dependencies } from './dependencies.ts';

/** GetProjectToken: returns the present token. */
export async function getProjectToken(
  { projectId }: GetProjectTokenRequest,
  call: Call,
  { projectTokens }: Dependencies,
): Promise<GetProjectTokenResponse> {
  return {
    projectToken: toProjectToken(await projectTokens.find(projectId, call.signal)),
  };
}
