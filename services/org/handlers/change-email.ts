import { errors } from '@silo/errors/errors.ts';
import {
  type ChangeEmailRequest,
  ChangeEmailResponse,
} from '@silo/protos/gen/silo/org/internal/v1/staff_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { accountUpdated } from '../event-drafts.ts';
import { accountMessage } from '../messages.ts';
import { comparable } from '../rules/email.ts';
import type { Dependencies } from './dependencies.ts';

/** Changes an account's e-mail, for staff. The event says that, not from what to what. */
export function createChangeEmail({
  stores,
  eventLog,
}: Pick<Dependencies, 'stores' | 'eventLog'>): Handler<ChangeEmailRequest, ChangeEmailResponse> {
  return async ({ accountId, email }, call) => {
    const { response } = await eventLog.mutate(call, ChangeEmailResponse, async (tx) => {
      const before = await stores.accounts.findIn(tx.session, accountId);
      if (before === undefined) throw errors.accountNotFound(accountId);
      if (before.email === email) return { response: { account: accountMessage(before) } };
      const after = {
        ...before,
        email,
        comparableEmail: comparable(email),
        revision: before.revision + 1,
        updateTime: tx.now,
      };
      await stores.accounts.save(tx.session, after);
      const changes = [{ field: 'email', from: '', to: '' }];
      tx.emit(accountUpdated(after, changes, { actor: call.actor, time: tx.now }));
      return { response: { account: accountMessage(after) } };
    });
    return response;
  };
}
