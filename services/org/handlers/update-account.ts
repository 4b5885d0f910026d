import { errors } from '@silo/errors/errors.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type UpdateAccountRequest,
  UpdateAccountResponse,
} from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { accountUpdated } from '../events.ts';
import { accountMessage } from '../messages.ts';
import { accountChanges, wantedAccountFields } from '../rules/account-update.ts';
import type { AccountDocument } from '../store/documents.ts';
import type { Dependencies } from './dependencies.ts';
import { mayRead } from './shared/current-project.ts';

/**
 * Changes the caller's own account. A current project that was deleted or that the caller may not
 * read is returned as empty, here too. A request may set it again unchanged.
 */
export async function updateAccount(
  { account: given, updateMask }: UpdateAccountRequest,
  call: Call,
  { stores, eventLog, access }: Pick<Dependencies, 'stores' | 'eventLog' | 'access'>,
): Promise<Outcome<UpdateAccountResponse>> {
  if (given === undefined) throw errors.invalidField([]);
  const wanted = wantedAccountFields(given, updateMask);
  const { accountId } = keyCaller(call).key;
  const present = await stores.accounts.find(accountId, call.signal);
  const unreadable = new Set<string>();
  for (const projectId of new Set([wanted.currentProjectId, present?.currentProjectId])) {
    if (projectId && !(await mayRead(access, call, projectId))) unreadable.add(projectId);
  }
  const { currentProjectId: wantedId } = wanted;
  if (wantedId && !unreadable.has(wantedId)) {
    // Repeats of the request must have this access, too.
    call.authorization?.addDemand({ projectId: wantedId, level: Level.LEVEL_MEMBER });
  }
  const shown = (account: AccountDocument) =>
    unreadable.has(account.currentProjectId) ? { ...account, currentProjectId: '' } : account;
  return await eventLog.mutate(call, UpdateAccountResponse, async (tx) => {
    const before = await stores.accounts.findIn(tx, accountId);
    if (before === undefined) throw errors.accountNotFound(accountId);
    checkEtag(given.etag, before.revision);
    const changes = accountChanges(before, wanted);
    const after = { ...before, ...wanted };
    const { currentProjectId } = after;
    if (currentProjectId !== before.currentProjectId && unreadable.has(currentProjectId)) {
      throw errors.projectNotFound(currentProjectId);
    }
    if (changes.length === 0) return { response: { account: accountMessage(shown(before)) } };
    const changed = { ...after, revision: before.revision + 1, updateTime: tx.now };
    await stores.accounts.save(tx, changed);
    tx.emit(accountUpdated(changed, changes, { actor: call.actor, time: tx.now }));
    return { response: { account: accountMessage(shown(changed)) } };
  });
}
