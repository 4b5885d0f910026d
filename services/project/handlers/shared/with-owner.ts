import type { Access } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { type Call, targetProject } from '@silo/rpc/call.ts';
import { demand } from '@silo/rpc/check-access.ts';

// Enough even for a project that is moved back and forth all the time.
const attemptsMax = 10;

/**
 * Acts on a project for the organization that authorizes the caller. If `act` finds that the
 * organization does not own the project any more, it throws `gone`; then the caller is authorized
 * again by the new owner, and acts there.
 */
export async function withOwner<T>(
  { access, call }: { access: Access; call: Call },
  { scope, level }: { scope: string; level: Level },
  act: (organizationId: string, gone: SiloError) => Promise<T>,
): Promise<T> {
  const { id: projectId, fact } = targetProject(call);
  const gone = errors.projectNotFound(projectId);
  let { organizationId } = fact;
  for (let attempt = 1; ; attempt++) {
    try {
      return await act(organizationId, gone);
    } catch (error) {
      if (error !== gone) throw error;
      if (attempt >= attemptsMax) throw errors.requestInProgress();
    }
    call.authorization?.release(); // Its permits depend on outdated facts.
    const { project } = await demand(access, call, {
      scope,
      projectId,
      level,
      bypassesCache: true,
    });
    organizationId = project?.fact.organizationId ?? organizationId;
  }
}
