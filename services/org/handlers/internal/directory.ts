import { errors } from '@silo/errors/errors.ts';
import { decodePageToken, nextPageToken, textPart } from '@silo/mongo/page-token.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  DescribeOrganizationRequest,
  DescribeOrganizationResponse,
  GetAccountMembershipsRequest,
  GetAccountMembershipsResponse,
  ListMembersOfTwoRequest,
  ListMembersOfTwoResponse,
  MemberOfTwo,
} from '@silo/protos/gen/silo/org/internal/v1/directory_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import type { Dependencies } from '../dependencies.ts';

/** Returns a page of an account's memberships with the names of their organizations. */
export async function getAccountMemberships(
  { accountId, pageToken }: GetAccountMembershipsRequest,
  { signal }: Call,
  { stores }: Pick<Dependencies, 'stores'>,
): Promise<GetAccountMembershipsResponse> {
  const query = ['GetAccountMemberships', accountId];
  const [after] = decodePageToken(query, pageToken, [textPart]) ?? [];
  const account = await stores.accounts.find(accountId, signal);
  if (account === undefined) throw errors.accountNotFound(accountId);
  const page = await stores.members.listOfAccount(accountId, { after, size: pageSize }, signal);
  const ids = page.items.map(({ organizationId }) => organizationId);
  const organizations = await stores.organizations.findMany(ids, signal);
  const memberships = page.items.flatMap(({ organizationId, level }) => {
    const organization = organizations.get(organizationId);
    if (organization === undefined) return [];
    const { name: organizationName, membersMayCreateProjects } = organization;
    return [{ organizationId, organizationName, level, membersMayCreateProjects }];
  });
  return {
    currentProjectId: account.currentProjectId,
    memberships,
    nextPageToken: nextPageToken(query, page, ({ organizationId }) => [organizationId]),
  };
}

/** Describes an organization unless it is deleted. */
export async function describeOrganization(
  { organizationId }: DescribeOrganizationRequest,
  { signal }: Call,
  { stores }: Pick<Dependencies, 'stores'>,
): Promise<DescribeOrganizationResponse> {
  const found = (await stores.organizations.findMany([organizationId], signal)).get(organizationId);
  if (found === undefined) throw errors.organizationNotFound(organizationId);
  return { name: found.name };
}

const pageSize = 1_000;

/** Returns the members of either of two organizations, with the level in each. */
export async function* listMembersOfTwo(
  request: ListMembersOfTwoRequest,
  { signal }: Call,
  { stores }: Pick<Dependencies, 'stores'>,
): AsyncIterable<ListMembersOfTwoResponse> {
  const withNames = async (members: MemberOfTwo[], signal: AbortSignal) => {
    const ids = members.map(({ accountId }) => accountId);
    const accounts = await stores.accounts.findMany(ids, signal);
    return members.map((member) => {
      const displayName = accounts.get(member.accountId)?.displayName ?? '';
      return { ...member, displayName };
    });
  };

  const { firstOrganizationId: first, secondOrganizationId: second } = request;
  const answer = async (members: MemberOfTwo[]) => ({
    members: request.withNames ? await withNames(members, signal) : members,
  });
  let page: MemberOfTwo[] = [];
  for await (const memberships of stores.members.levelsIn([first, second], signal)) {
    for (const { accountId, organizationId, level } of memberships) {
      let member = page.at(-1);
      if (member?.accountId !== accountId) {
        if (page.length === pageSize) {
          yield await answer(page);
          page = [];
        }
        member = newMember(accountId);
        page.push(member);
      }
      if (organizationId === first) member.firstLevel = level;
      if (organizationId === second) member.secondLevel = level;
    }
  }
  if (page.length > 0) yield await answer(page);
}

function newMember(accountId: string): MemberOfTwo {
  const none = Level.LEVEL_UNSPECIFIED;
  return { accountId, displayName: '', firstLevel: none, secondLevel: none };
}
