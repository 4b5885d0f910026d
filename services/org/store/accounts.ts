import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import { isDuplicateKey } from '@silo/mongo/from-mongo.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import type { Db } from 'mongodb';
import type { AccountDocument } from './documents.ts';

/** Opens the service's accounts. Each account is its own tenant. */
export function createAccountStore(db: Db) {
  const accounts = db.collection<AccountDocument>('accounts', collectionOptions);
  return {
    /** Adds an account. Refuses with EMAIL_TAKEN. */
    async insert({ session }: Transaction, account: AccountDocument): Promise<void> {
      await orEmailTaken(accounts.insertOne(account, { session }));
    },

    /** Writes an account that this transaction has read. Refuses with EMAIL_TAKEN. */
    async save({ session }: Transaction, account: AccountDocument): Promise<void> {
      await orEmailTaken(accounts.replaceOne({ _id: account._id }, account, { session }));
    },

    async find(accountId: string, signal: AbortSignal): Promise<AccountDocument | undefined> {
      const found = await reading(accounts.findOne({ _id: accountId }, bounded), signal);
      return found ?? undefined;
    },

    async findMany(
      accountIds: readonly string[],
      signal: AbortSignal,
    ): Promise<Map<string, AccountDocument>> {
      const found = await reading(
        accounts.find({ _id: { $in: [...accountIds] } }, bounded).toArray(),
        signal,
      );
      return new Map(found.map((account) => [account._id, account]));
    },

    async findIn(
      { session }: Transaction,
      accountId: string,
    ): Promise<AccountDocument | undefined> {
      return (await accounts.findOne({ _id: accountId }, { session })) ?? undefined;
    },

    /** Finds an account by its e-mail in comparable form. */
    async findByEmailIn(
      { session }: Transaction,
      comparableEmail: string,
    ): Promise<AccountDocument | undefined> {
      return (await accounts.findOne({ comparableEmail }, { session })) ?? undefined;
    },
  };
}

async function orEmailTaken(write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (isDuplicateKey(error) && error.keyPattern?.comparableEmail) throw errors.emailTaken();
    throw error;
  }
}
