import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import {
  type ChangeEmailRequest,
  ChangeEmailResponse,
  type CreateAccountRequest,
  type CreateAccountResponse,
} from '@silo/protos/gen/silo/org/internal/v1/staff_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { accountUpdated, inviteDeleted } from '../../events.ts';
import { accountMessage } from '../../messages.ts';
import { comparable } from '../../rules/email.ts';
import { emailInvitesMax } from '../../rules/invites.ts';
import type { AccountDocument } from '../../store/documents.ts';
import type { InviteName } from '../../store/invites.ts';
import type { Stores } from '../../store/set-up.ts';
import { type AccountCreator, createAccountOnce } from '../create-account.ts';
import type { Dependencies } from '../dependencies.ts';

/** Creates an account for staff, even if sign-up is closed. */
export async function createAccount(
  { account }: CreateAccountRequest,
  call: Call,
  dependencies: AccountCreator,
): Promise<CreateAccountResponse> {
  if (account === undefined) throw errors.invalidField([]);
  return { account: await createAccountOnce(account, call, dependencies) };
}

type Needed = Pick<Dependencies, 'stores' | 'eventLog'>;

/**
 * Changes an account's e-mail, for staff. The event contains neither the old nor the new e-mail.
 * Invites for either e-mail were meant for its earlier holder, so they are deleted in all
 * organizations.
 */
export async function changeEmail(
  { accountId, email }: ChangeEmailRequest,
  call: Call,
  needed: Needed,
): Promise<Outcome<ChangeEmailResponse>> {
  const { stores, eventLog } = needed;

  while (await endSurplus(needed, { accountId, email }, call)) call.signal.throwIfAborted();
  return await eventLog.mutate(call, ChangeEmailResponse, async (tx) => {
    const before = await readChangeable(stores, tx, accountId, email);
    if (before.email === email) return { response: { account: accountMessage(before) } };
    const after = {
      ...before,
      email,
      comparableEmail: comparable(email),
      revision: before.revision + 1,
      updateTime: tx.now,
    };
    await stores.accounts.save(tx, after);
    const changes = [{ field: 'email', from: '', to: '' }];
    tx.emit(accountUpdated(after, changes, { actor: call.actor, time: tx.now }));
    const rested = await findRested(stores, tx, before, email);
    // Other invites were created after the surplus was deleted.
    if (rested.length > emailInvitesMax) throw errors.requestInProgress();
    await removeInvites(stores, tx, rested, call.actor);
    return { response: { account: accountMessage(after) } };
  });
}

/**
 * Deletes a batch of the invites for both e-mails if there are more than one transaction should
 * delete. Returns whether it deleted any. Refuses like the change itself.
 */
async function endSurplus(
  { stores, eventLog }: Needed,
  { accountId, email }: { accountId: string; email: string },
  { id, actor, signal }: Call,
): Promise<boolean> {
  const mutation = { id, actor, signal, authorization: undefined };
  const { value } = await eventLog.decide(mutation, async (tx) => {
    const before = await readChangeable(stores, tx, accountId, email);
    const rested = await findRested(stores, tx, before, email);
    if (rested.length <= emailInvitesMax) return false;
    await removeInvites(stores, tx, rested, actor);
    return true;
  });
  return value;
}

/**
 * Returns the account. Refuses with ACCOUNT_NOT_FOUND, or with EMAIL_TAKEN if another account has
 * the e-mail.
 */
async function readChangeable(
  { accounts }: Stores,
  tx: Transaction,
  accountId: string,
  email: string,
): Promise<AccountDocument> {
  const account = await accounts.findIn(tx, accountId);
  if (account === undefined) throw errors.accountNotFound(accountId);
  const holder = await accounts.findByEmailIn(tx, comparable(email));
  if (holder !== undefined && holder._id !== accountId) throw errors.emailTaken();
  return account;
}

/**
 * Returns the invites for the old or the new e-mail, at most one more than one transaction deletes.
 */
async function findRested(
  { invites }: Stores,
  tx: Transaction,
  { comparableEmail }: AccountDocument,
  email: string,
): Promise<InviteName[]> {
  if (comparableEmail === comparable(email)) return [];
  const emails = [comparableEmail, comparable(email)];
  return await invites.findOfEmails(tx, emails, emailInvitesMax + 1);
}

async function removeInvites(
  { invites }: Stores,
  tx: Transaction,
  ending: readonly InviteName[],
  actor: string,
): Promise<void> {
  await invites.removeMany(tx, ending);
  for (const { id, organizationId } of ending) {
    tx.emit(inviteDeleted(organizationId, id, { actor, time: tx.now }));
  }
}
