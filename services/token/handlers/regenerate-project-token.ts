import {
  type RegenerateProjectTokenRequest,
  RegenerateProjectTokenResponse,
} from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import { type Handler, targetOrganization } from '@silo/rpc/call.ts';
import { toProjectToken } from '../messages.ts';
import { replaceToken } from '../rules/project-token.ts';
import type { Dependencies } from './dependencies.ts';
import { freshToken } from './fresh-secrets.ts';

/** RegenerateProjectToken: a new token, and the end of the old one. */
export const createRegenerateProjectToken =
  ({
    eventLog,
    projectTokens,
  }: Dependencies): Handler<RegenerateProjectTokenRequest, RegenerateProjectTokenResponse> =>
  async ({ projectId, expectedFingerprint }, call) => {
    const { id: organizationId } = targetOrganization(call);
    const fresh = freshToken();
    const { response } = await eventLog.mutate(
      call,
      RegenerateProjectTokenResponse,
      async ({ session, now, emit }) => {
        const present = await projectTokens.findIn(session, projectId);
        const { after, events } = replaceToken(
          present,
          fresh,
          { organizationId, expectedFingerprint },
          { actor: call.actor, now },
        );
        await projectTokens.save(session, after);
        for (const event of events) emit(event);
        return { response: { projectToken: toProjectToken(after) } };
      },
    );
    return response;
  };
