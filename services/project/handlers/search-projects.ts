import { isRestricted, reachesOrganization } from '@silo/guard/reach.ts';
import { encodePageToken, pageSizeOf } from '@silo/mongo/page-token.ts';
import type { Membership } from '@silo/protos/gen/silo/org/internal/v1/directory_service.ts';
import type {
  SearchProjectsRequest,
  SearchProjectsResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { KeyFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import { type Handler, keyCaller } from '@silo/rpc/call.ts';
import { foldName } from '../rules/names.ts';
import type { ProjectDocument } from '../store/documents.ts';
import type { Search } from '../store/projects.ts';
import type { Dependencies } from './dependencies.ts';
import { projectMessage } from './messages.ts';
import { positionOf } from './page.ts';

/** How many organizations are asked for at a time. */
const organizationsAtOnce = 8;

type Organization = { id: string; name: string; searchName: string };
type Found = { project: ProjectDocument; organization: Organization };

export const createSearchProjects =
  ({
    projects,
    peers,
  }: Pick<Dependencies, 'projects' | 'peers'>): Handler<
    SearchProjectsRequest,
    SearchProjectsResponse
  > =>
  async ({ query, pageSize, pageToken }, call) => {
    const { key } = keyCaller(call);
    const { signal } = call;
    const pages = ['SearchProjects', key.accountId, query];
    const position = positionOf(pages, pageToken, 4);
    const size = pageSizeOf(pageSize);
    const { memberships, currentProjectId } = await peers.org.directory.getAccountMemberships(
      { accountId: key.accountId },
      { signal },
    );
    const left = organizationsFrom(memberships, position);
    const found: Found[] = [];
    while (left.length > 0 && found.length <= size) {
      const some = left.splice(0, organizationsAtOnce);
      const limit = size + 1 - found.length;
      const each = await Promise.all(
        some.map(async (organization) => {
          const search = searchOf({ organization, key, query, position, limit });
          const matching = search === undefined ? [] : await projects.search(search, signal);
          return matching.map((project) => ({ project, organization }));
        }),
      );
      found.push(...each.flat());
    }
    const page = found.slice(0, size);
    const last = found.length > size ? page.at(-1) : undefined;
    return {
      results: page.map(({ project, organization }) => ({
        project: projectMessage(project),
        organizationName: organization.name,
        current: project._id === currentProjectId,
      })),
      nextPageToken: last === undefined ? '' : encodePageToken(pages, placeOf(last)),
    };
  };

/** The caller's organizations in the order of the answer, from the one where the page begins. */
function organizationsFrom(
  memberships: readonly Membership[],
  position: readonly string[] | undefined,
): Organization[] {
  const [searchName = '', id = ''] = position ?? [];
  const first = { searchName, id };
  return memberships
    .map(({ organizationId, organizationName }) => ({
      id: organizationId,
      name: organizationName,
      searchName: foldName(organizationName),
    }))
    .filter((each) => compareOrganizations(each, first) >= 0)
    .sort(compareOrganizations);
}

function compareOrganizations(
  a: Pick<Organization, 'searchName' | 'id'>,
  b: Pick<Organization, 'searchName' | 'id'>,
): number {
  return compareTexts(a.searchName, b.searchName) || compareTexts(a.id, b.id);
}

function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** What to look for in an organization; undefined where the key reaches nothing there. */
function searchOf(options: {
  organization: Organization;
  key: KeyFact;
  query: string;
  position: readonly string[] | undefined;
  limit: number;
}): Search | undefined {
  const { organization, key, limit } = options;
  const reachesAll = !isRestricted(key) || reachesOrganization(key, organization.id);
  if (!reachesAll && key.projectIds.length === 0) return undefined;
  const folded = foldName(options.query);
  const [, startsIn, searchName = '', id = ''] = options.position ?? [];
  return {
    organizationId: organization.id,
    text: organization.searchName.includes(folded) ? '' : folded,
    onlyIds: reachesAll ? undefined : key.projectIds,
    after: startsIn === organization.id ? { searchName, id } : undefined,
    limit,
  };
}

function placeOf({ project, organization }: Found): string[] {
  return [organization.searchName, organization.id, project.searchName, project._id];
}
