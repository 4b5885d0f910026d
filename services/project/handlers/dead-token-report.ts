import { errors } from '@silo/errors/errors.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  DeadTokenReportRequest,
  DeadTokenReportResponse,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { demand } from '@silo/rpc/check-access.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { addUses, recentUses } from '../rules/dead-tokens.ts';
import type { DeadTokenStore } from '../store/dead-tokens.ts';
import type { Dependencies } from './dependencies.ts';

type DeadTokenReportDependencies = Pick<Dependencies, 'access'> & {
  deadTokens: Pick<DeadTokenStore, 'list'>;
  clock: Clock;
};

/** DeadTokenReport: also for a deleted or migrated project, by the organization that owned it. */
export async function deadTokenReport(
  { projectId }: DeadTokenReportRequest,
  call: Call,
  { access, deadTokens, clock }: DeadTokenReportDependencies,
): Promise<DeadTokenReportResponse> {
  const level = Level.LEVEL_MEMBER;
  const needs = { scope: 'token:read', level, projectId, evenGone: true };
  const { organization } = await demand(access, call, needs);
  if (organization === undefined) throw errors.projectNotFound(projectId);
  const uses = await deadTokens.list(projectId, call.signal);
  const now = clock.now();
  return {
    // Bound the list here, too: an earlier release stored more.
    uses: recentUses(addUses(uses, [], now), now).map(
      ({ firstTime, lastTime, forwardedRegion = '', ...use }) => ({
        ...{ ...use, forwardedRegion },
        firstUseTime: firstTime,
        lastUseTime: lastTime,
      }),
    ),
  };
}
