import type {
  MakeProjectTokenRequest,
  MakeProjectTokenResponse,
} from '@silo/protos/gen/silo/token/internal/v1/secret_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { firstToken } from '../rules/project-token.ts';
import type { Dependencies } from './dependencies.ts';
import { freshToken } from './fresh-secrets.ts';
import { stepOf } from './step.ts';

/** MakeProjectToken: once for each project. Answers the token that there is; '' after a purge. */
export const createMakeProjectToken =
  ({
    eventLog,
    projectTokens,
  }: Dependencies): Handler<MakeProjectTokenRequest, MakeProjectTokenResponse> =>
  async (request, call) => {
    const { projectId } = request;
    const fresh = freshToken();
    const mutation = stepOf(call, request);
    const { value } = await eventLog.decide(mutation, async ({ session, now, emit }) => {
      const { after, events } = firstToken(projectId, fresh, { actor: mutation.actor, now });
      const present = await projectTokens.insert(session, after);
      if (present !== undefined) return present.current?.token ?? '';
      for (const event of events) emit(event);
      return fresh.token;
    });
    return { token: value };
  };
