import type {
  PurgeProjectTokenRequest,
  PurgeProjectTokenResponse,
} from '@silo/protos/gen/silo/token/internal/v1/secret_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { purgeToken } from '../rules/project-token.ts';
import type { Dependencies } from './dependencies.ts';
import { stepOf } from './step.ts';

/** PurgeProjectToken: forgets the token of a project that is gone. */
export const createPurgeProjectToken =
  ({
    eventLog,
    projectTokens,
  }: Dependencies): Handler<PurgeProjectTokenRequest, PurgeProjectTokenResponse> =>
  async (request, call) => {
    const { projectId } = request;
    const mutation = stepOf(call, request);
    await eventLog.decide(mutation, async ({ session, now, emit }) => {
      const present = await projectTokens.findIn(session, projectId);
      const change = purgeToken(projectId, present, { actor: mutation.actor, now });
      if (change === undefined) return;
      await projectTokens.save(session, change.after);
      for (const event of change.events) emit(event);
    });
    return {};
  };
