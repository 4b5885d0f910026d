import { errors } from '@silo/errors/errors.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type UpdateAccountRequest,
  UpdateAccountResponse,
} from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { demand } from '@silo/rpc/ask.ts';
import { type Handler, keyCaller } from '@silo/rpc/call.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { accountUpdated } from '../event-drafts.ts';
import { accountMessage } from '../messages.ts';
import { accountChanges, wantedAccountFields } from '../rules/account-update.ts';
import type { Dependencies } from './dependencies.ts';

/** Changes the caller's own account. */
export function createUpdateAccount({
  stores,
  eventLog,
  access,
}: Pick<Dependencies, 'stores' | 'eventLog' | 'access'>): Handler<
  UpdateAccountRequest,
  UpdateAccountResponse
> {
  return async ({ account: given, updateMask }, call) => {
    if (given === undefined) throw errors.invalidField([]);
    const wanted = wantedAccountFields(given, updateMask);
    if (wanted.currentProjectId) {
      // Refuses with PROJECT_NOT_FOUND a project that the caller may not read.
      const level = Level.LEVEL_MEMBER;
      await demand(access, call, { projectId: wanted.currentProjectId, level });
    }
    const { accountId } = keyCaller(call).key;
    const { response } = await eventLog.mutate(call, UpdateAccountResponse, async (tx) => {
      const before = await stores.accounts.findIn(tx.session, accountId);
      if (before === undefined) throw errors.accountNotFound(accountId);
      checkEtag(given.etag, before.revision);
      const changes = accountChanges(before, wanted);
      if (changes.length === 0) return { response: { account: accountMessage(before) } };
      const after = { ...before, ...wanted, revision: before.revision + 1, updateTime: tx.now };
      await stores.accounts.save(tx.session, after);
      tx.emit(accountUpdated(after, changes, { actor: call.actor, time: tx.now }));
      return { response: { account: accountMessage(after) } };
    });
    return response;
  };
}
