import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  ListMembersOfTwoRequest,
  ListMembersOfTwoResponse,
  MemberOfTwo,
} from '@silo/protos/gen/silo/org/internal/v1/directory_service.ts';
import type { StreamHandler } from '@silo/rpc/mount.ts';
import type { Dependencies } from './dependencies.ts';

const pageSize = 1_000;

/** Answers everybody who is a member of one of two organizations, with the level in each. */
export function createListMembersOfTwo({
  stores,
}: Pick<Dependencies, 'stores'>): StreamHandler<ListMembersOfTwoRequest, ListMembersOfTwoResponse> {
  const withNames = async (members: MemberOfTwo[], signal: AbortSignal) => {
    const ids = members.map(({ accountId }) => accountId);
    const accounts = await stores.accounts.findMany(ids, signal);
    return members.map((member) => {
      const displayName = accounts.get(member.accountId)?.displayName ?? '';
      return { ...member, displayName };
    });
  };
  return async function* (request, { signal }) {
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
  };
}

function newMember(accountId: string): MemberOfTwo {
  const none = Level.LEVEL_UNSPECIFIED;
  return { accountId, displayName: '', firstLevel: none, secondLevel: none };
}
