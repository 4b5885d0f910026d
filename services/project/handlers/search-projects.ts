import { isRestricted } from '@silo/access/reach.ts';
import { decodePageToken, nextPageToken, pageSizeOf, textPart } from '@silo/mongo/page-token.ts';
import type { Membership } from '@silo/protos/gen/silo/org/internal/v1/directory_service.ts';
import type {
  SearchProjectsRequest,
  SearchProjectsResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { fold } from '@silo/runtime/fold.ts';
import { projectMessage } from '../messages.ts';
import type { Dependencies } from './dependencies.ts';
import { readMemberships } from './shared/account-memberships.ts';

type Organization = { id: string; name: string; searchName: string };

export async function searchProjects(
  { query, pageSize, pageToken }: SearchProjectsRequest,
  call: Call,
  { projects, peers, reading }: Pick<Dependencies, 'projects' | 'peers' | 'reading'>,
): Promise<SearchProjectsResponse> {
  const { key } = keyCaller(call);
  const { signal } = call;
  const pages = ['SearchProjects', key.accountId, query];
  const parts = [textPart, textPart, textPart, textPart] as const;
  const position = decodePageToken(pages, pageToken, parts);
  const { organizations, currentProjectId, page } = await reading(call, async () => {
    const { memberships, currentProjectId } = await readMemberships(peers, key.accountId, signal);
    const organizations = organizationsFrom(memberships, position);
    const text = fold(query);
    const page = await projects.search(
      {
        organizationIds: organizations.map(({ id }) => id),
        text,
        wholeIds: organizations.flatMap(({ id, searchName }) =>
          searchName.includes(text) ? [id] : [],
        ),
        only: isRestricted(key) ? key : undefined,
        after: position && placeAfter(position),
        size: pageSizeOf(pageSize),
      },
      signal,
    );
    return { organizations, currentProjectId, page };
  });
  const byId = new Map(organizations.map((each) => [each.id, each]));
  return {
    results: page.items
      .flatMap(({ project }) => project ?? [])
      .map((project) => ({
        project: projectMessage(project),
        organizationName: byId.get(project.organizationId)?.name ?? '',
        current: project._id === currentProjectId,
      })),
    nextPageToken: nextPageToken(pages, page, ({ key: { organizationId, searchName, _id } }) => [
      byId.get(organizationId)?.searchName ?? '',
      organizationId,
      searchName,
      _id,
    ]),
  };
}

/** The caller's organizations in the order of the results, from the one where the page begins. */
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
      searchName: fold(organizationName),
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

function placeAfter([, organizationId = '', searchName = '', id = '']: readonly string[]) {
  return { organizationId, searchName, id };
}
