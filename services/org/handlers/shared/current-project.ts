import type { Access } from '@silo/access/access.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { checkAccess } from '@silo/rpc/check-access.ts';
import type { AccountDocument } from '../../store/documents.ts';

/** Whether the calling key may read a project. False also if the project was deleted. */
export async function mayRead(access: Access, call: Call, projectId: string): Promise<boolean> {
  const { keyHash } = keyCaller(call);
  const answer = await checkAccess(access, call, { keyHash, projectId, level: Level.LEVEL_MEMBER });
  return answer.allowed;
}

/**
 * Returns the account, without its current project if the caller may not read the project or it was
 * deleted.
 */
export async function withReadableProject(
  access: Access,
  call: Call,
  account: AccountDocument,
): Promise<AccountDocument> {
  const { currentProjectId } = account;
  if (currentProjectId === '') return account;
  if (await mayRead(access, call, currentProjectId)) return account;
  return { ...account, currentProjectId: '' };
}
