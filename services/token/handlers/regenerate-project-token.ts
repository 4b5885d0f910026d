import type { Outcome } from '@silo/mongo/mutation.ts';
import {
  type RegenerateProjectTokenRequest,
  RegenerateProjectTokenResponse,
} from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import { type Call, targetOrganization } from '@silo/rpc/call.ts';
import { toProjectToken } from '../messages.ts';
import { replaceToken } from '../rules/project-token.ts';
import type { Dependencies } from './dependencies.ts';
import { freshToken } from './shared/fresh-secrets.ts';

/** RegenerateProjectToken: creates a new token and revokes the old one. */
export async function regenerateProjectToken(
  { projectId, expectedFingerprint }: RegenerateProjectTokenRequest,
  call: Call,
  { eventLog, projectTokens }: Dependencies,
): Promise<Outcome<RegenerateProjectTokenResponse>> {
  const { id: organizationId } = targetOrganization(call);
  const fresh = freshToken();
  return await eventLog.mutate(call, RegenerateProjectTokenResponse, async (tx) => {
    const { now, emit } = tx;
    const present = await projectTokens.findIn(tx, projectId);
    const { after, events } = replaceToken(
      present,
      fresh,
      { organizationId, expectedFingerprint },
      { actor: call.actor, now },
    );
    await projectTokens.save(tx, after, present);
    for (const event of events) emit(event);
    return { response: { projectToken: toProjectToken(after) } };
  });
}
