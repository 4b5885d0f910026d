import { errors } from '@silo/errors/errors.ts';
import type {
  LocateProjectRequest,
  LocateProjectResponse,
} from '@silo/protos/gen/silo/project/internal/v1/region_directory_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import { type LocateHereDependencies, locateHere } from '../peer/locate-here.ts';

/** Deadline of the calls to all other regions, which run concurrently. */
const deadlineMs = 2_000;

export type LocateDependencies = LocateHereDependencies & {
  regions: ReadonlyMap<string, Pick<RegionClient, 'locateHere'>>;
};

/** LocateProject: by the records of this region, or else by those of the other regions. */
export async function locateProject(
  request: LocateProjectRequest,
  call: Call,
  dependencies: LocateDependencies,
): Promise<LocateProjectResponse> {
  const here = await locateHere(request, call, dependencies);
  if (here.region !== '') return here;
  const { signal } = call;
  const answers = await Promise.allSettled(
    Array.from(dependencies.regions.values(), (region) =>
      region.locateHere(request, { signal, deadlineMs }),
    ),
  );
  for (const answer of answers) {
    if (answer.status === 'fulfilled' && answer.value.region !== '') return answer.value;
  }
  const failed = answers.find((answer) => answer.status === 'rejected');
  if (failed !== undefined) throw errors.dependencyUnavailable('another region', failed.reason);
  throw errors.projectNotFound(request.projectId);
}
