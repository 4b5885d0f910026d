import { reachesOrganization } from '@silo/access/reach.ts';
import { pageOf } from '@silo/mongo/page.ts';
import { decodePageToken, nextPageToken, pageSizeOf, textPart } from '@silo/mongo/page-token.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type ListMoveDestinationsRequest,
  type ListMoveDestinationsResponse,
  MoveDestination,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { regionOf } from '@silo/tokens/ids.ts';
import { requireReachesSource } from '../rules/move.ts';
import { moveBlockers } from '../rules/move-blockers.ts';
import type { Dependencies } from './dependencies.ts';
import { readMemberships } from './shared/account-memberships.ts';
import { withOwner } from './shared/with-owner.ts';

type ListMoveDestinationsDependencies = Pick<
  Dependencies,
  'projects' | 'slots' | 'access' | 'peers' | 'reading'
>;

export async function listMoveDestinations(
  { projectId, pageSize, pageToken }: ListMoveDestinationsRequest,
  call: Call,
  { projects, slots, access, peers, reading }: ListMoveDestinationsDependencies,
): Promise<ListMoveDestinationsResponse> {
  const { signal } = call;
  const { key } = keyCaller(call);
  const query = ['ListMoveDestinations', key.accountId, projectId];
  const [afterId = ''] = decodePageToken(query, pageToken, [textPart]) ?? [];
  const size = pageSizeOf(pageSize);
  const needs = { scope: 'project:read', level: Level.LEVEL_ADMIN };
  return await withOwner({ access, call }, needs, async (sourceId, gone) => {
    requireReachesSource(key, sourceId);
    const [{ memberships }, project] = await reading(call, () =>
      Promise.all([
        readMemberships(peers, key.accountId, signal),
        projects.get(sourceId, projectId, signal),
      ]),
    );
    if (project === undefined) throw gone;
    const others = memberships
      .filter(({ organizationId: id }) => id !== sourceId && id > afterId)
      .filter(({ organizationId: id }) => regionOf(id) === regionOf(sourceId))
      .filter(({ organizationId: id }) => reachesOrganization(key, id))
      .sort((a, b) => (a.organizationId < b.organizationId ? -1 : 1));
    // One more than the page may hold shows that there is another page.
    const candidates = others.slice(0, size + 1);
    const ids = candidates.map(({ organizationId }) => organizationId);
    const found = await slots.getMany([sourceId, ...ids], signal);
    const source = found.get(sourceId);
    if (source === undefined) throw gone;
    const destinations = candidates.map(
      ({ organizationId, organizationName, level, ...fact }): MoveDestination => ({
        organizationId,
        organizationName,
        blockers: moveBlockers({
          projects: [project],
          source,
          destinationId: organizationId,
          destination: found.get(organizationId),
          caller: { level, fact },
        }).map(({ reason, message }) => ({ reason, description: message })),
      }),
    );
    const page = pageOf(destinations, size, sizeBytesOf);
    return {
      destinations: page.items,
      nextPageToken: nextPageToken(query, page, ({ organizationId }) => [organizationId]),
    };
  });
}

function sizeBytesOf(destination: MoveDestination): number {
  return MoveDestination.encode(destination).finish().length;
}
