import { randomBytes } from 'node:crypto';
import type { Transaction } from '@silo/log/event-log.ts';
import type { Index } from '@silo/mongo/indexes.ts';
import type { Page } from '@silo/mongo/page.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { retentionSeconds } from '@silo/mongo/retention.ts';
import { transact } from '@silo/mongo/transaction-retry.ts';
import type { Db, Filter, Sort } from 'mongodb';
import { type Days, startOfDay, usageBytes } from '../rules/usage.ts';
import type { EventBatch } from './event-collection.ts';

const collectionName = 'usage';
const readAtOnce = 500;
const foldedAtOnce = 500;
/** The writer of folded counters: no process. */
const nobody = '';

/**
 * The usage of an organization's project on one UTC day, as counted by one writer. Each running
 * transaction of a process has its own counter, so that captures never conflict.
 */
export type UsageDocument = {
  _id: { organization: string; project: string; day: Date; writer: string };
  events: number;
  bytes: number;
  /** Set until the counter is folded. */
  open?: true;
};

/** The usage of a project on one UTC day while the organization owned it. */
export type UsageDay = { project: string; day: Date; events: number; bytes: number };

/** The position of a day of usage in a list. */
export type UsagePosition = Pick<UsageDay, 'day' | 'project'>;

const byDay = 'by_day';
const byProject = 'by_project';
const byOpenDay = 'by_open_day';

export const usageIndexes: Readonly<Record<string, readonly Index[]>> = {
  [collectionName]: [
    { key: { '_id.organization': 1, '_id.day': 1, '_id.project': 1 }, name: byDay },
    { key: { '_id.organization': 1, '_id.project': 1, '_id.day': 1 }, name: byProject },
    { key: { '_id.day': 1, open: 1 }, name: byOpenDay, partialFilterExpression: { open: true } },
    { key: { '_id.day': 1 }, expireAfterSeconds: retentionSeconds.usage },
  ],
};

/** A transaction that makes no entry in the event log. */
export type StoreTransaction = Pick<Transaction, 'session'>;

/** Stores the counters of captured events. */
export type UsageStore = ReturnType<typeof createUsageStore>;

export function createUsageStore(db: Db) {
  const usage = db.collection<UsageDocument>(collectionName, collectionOptions);
  const processId = randomBytes(6).toString('hex');
  const busy: boolean[] = [];

  return {
    /** Lends a writer's name to one transaction. No other running transaction has the same name. */
    async asWriter<T>(work: (writer: string) => Promise<T>): Promise<T> {
      const free = busy.indexOf(false);
      const index = free === -1 ? busy.length : free;
      busy[index] = true;
      try {
        return await work(`${processId}-${index}`);
      } finally {
        busy[index] = false;
      }
    },

    /** Counts the events of batches for their owners, in the transaction that stores them. */
    async add(
      { session }: StoreTransaction,
      batches: readonly EventBatch[],
      writer: string,
    ): Promise<void> {
      const updates = countersOf(batches).map(({ _id, events, bytes }) => ({
        updateOne: {
          filter: { _id: { ..._id, writer } },
          update: { $inc: { events, bytes }, $setOnInsert: { open: true } as const },
          upsert: true,
        },
      }));
      if (updates.length > 0) await usage.bulkWrite(updates, { session, ...bounded });
    },

    /**
     * Returns a page of an organization's days of usage, of one project or of all, by day and
     * project. It includes all captures that were acknowledged before the call, and counts none
     * twice.
     */
    async list(
      organizationId: string,
      wanted: { projectId: string; days: Days; after: UsagePosition | undefined; size: number },
      signal: AbortSignal,
    ): Promise<Page<UsageDay>> {
      // In one snapshot, because counters are folded concurrently.
      const read = transact(db.client, { signal }, async (session) => {
        const days: UsageDay[] = [];
        for (const { query, hint, sort } of usageQueries(organizationId, wanted)) {
          const found = usage.find(query, {
            ...{ ...bounded, session, hint, sort },
            batchSize: readAtOnce,
          });
          for await (const { _id, events, bytes } of found) {
            const { project, day } = _id;
            const last = days.at(-1);
            if (last?.project === project && last.day.getTime() === day.getTime()) {
              last.events += events;
              last.bytes += bytes;
            } else if (days.length > wanted.size) {
              return days;
            } else days.push({ project, day, events, bytes });
          }
        }
        return days;
      });
      const days = await reading(read, signal);
      return { items: days.slice(0, wanted.size), hasMore: days.length > wanted.size };
    },

    /**
     * Folds counters of one project's day before the given one into one. Returns false if there are
     * none. Several processes may do it at once: their transactions conflict.
     */
    async fold(before: Date, signal: AbortSignal): Promise<boolean> {
      const folded = transact(db.client, { signal }, async (session) => {
        const open = { '_id.day': { $lt: before }, open: true } as const;
        const options = { ...bounded, session, hint: byOpenDay };
        const first = await usage.findOne(open, options);
        if (first === null) return false;
        const { organization, project, day } = first._id;
        const same = { '_id.organization': organization, '_id.project': project, '_id.day': day };
        const parts = await usage
          .find(
            { ...same, open: true },
            { ...bounded, session, hint: byProject, limit: foldedAtOnce },
          )
          .toArray();
        const sum = (field: 'events' | 'bytes') =>
          parts.reduce((total, part) => total + part[field], 0);
        await usage.deleteMany({ _id: { $in: parts.map(({ _id }) => _id) } }, { session });
        await usage.updateOne(
          { _id: { ...first._id, writer: nobody } },
          { $inc: { events: sum('events'), bytes: sum('bytes') } },
          { session, upsert: true },
        );
        return true;
      });
      return await reading(folded, signal);
    },
  };
}

function countersOf(batches: readonly EventBatch[]) {
  const counters = new Map<
    string,
    { _id: Omit<UsageDocument['_id'], 'writer'>; events: number; bytes: number }
  >();
  for (const { projectId, organizationId, receiveTime, events } of batches) {
    if (events.length === 0) continue;
    const day = startOfDay(receiveTime);
    const name = `${organizationId} ${projectId} ${day.getTime()}`;
    let counter = counters.get(name);
    if (counter === undefined) {
      const _id = { organization: organizationId, project: projectId, day };
      counter = { _id, events: 0, bytes: 0 };
      counters.set(name, counter);
    }
    counter.events += events.length;
    for (const event of events) counter.bytes += usageBytes(event);
  }
  return [...counters.values()];
}

/** The queries whose results, one after the other, make up the list from a position on. */
function usageQueries(
  organizationId: string,
  { projectId, days, after }: { projectId: string; days: Days; after: UsagePosition | undefined },
): { query: Filter<UsageDocument>; hint: string; sort: Sort }[] {
  const within = (day: object, project: object) => ({
    '_id.organization': organizationId,
    ...(projectId === '' ? project : { '_id.project': projectId }),
    '_id.day': day,
  });
  const shape: { hint: string; sort: Sort } =
    projectId === ''
      ? { hint: byDay, sort: { '_id.day': 1, '_id.project': 1 } }
      : { hint: byProject, sort: { '_id.day': 1 } };
  const { first, last } = days;
  if (after === undefined) return [{ query: within({ $gte: first, $lte: last }, {}), ...shape }];
  const later = { query: within({ $gt: after.day, $lte: last }, {}), ...shape };
  if (projectId !== '') return [later];
  const sameDay = within({ $eq: after.day }, { '_id.project': { $gt: after.project } });
  return [{ query: sameDay, ...shape }, later];
}
