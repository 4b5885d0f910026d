import type { Index } from '@silo/mongo/indexes.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { retentionSeconds } from '@silo/mongo/retention.ts';
import { transact } from '@silo/mongo/transaction-retry.ts';
import type { Db } from 'mongodb';
import { addUses, type DeadTokenUse } from '../rules/dead-tokens.ts';
import type { ProjectDocument } from './documents.ts';

const collectionName = 'dead_token_uses';

/** The uses of a project's dead tokens. */
export type DeadTokenDocument = {
  /** The project's id. */
  _id: string;
  uses: DeadTokenUse[];
  /** The latest time of any use. */
  lastTime: Date;
};

export const deadTokenIndexes: Readonly<Record<string, readonly Index[]>> = {
  [collectionName]: [{ key: { lastTime: 1 }, expireAfterSeconds: retentionSeconds.deadTokenUse }],
};

/** The uses of dead tokens, in one document for each project. */
export type DeadTokenStore = ReturnType<typeof createDeadTokenStore>;

export function createDeadTokenStore(db: Db) {
  const reports = db.collection<DeadTokenDocument>(collectionName, collectionOptions);
  const projects = db.collection<ProjectDocument>('projects', collectionOptions);
  return {
    /**
     * Adds uses to the stored uses of a project, in a transaction, because replicas do so
     * concurrently.
     */
    async add(
      projectId: string,
      added: readonly DeadTokenUse[],
      now: Date,
      signal: AbortSignal,
    ): Promise<void> {
      const write = transact(db.client, { signal }, async (session) => {
        const options = { ...bounded, session };
        // Uses for a purged project are dropped: nobody could read them.
        const project = await projects.findOne({ _id: projectId }, options);
        if (project === null) return;
        const present = await reports.findOne({ _id: projectId }, options);
        const uses = addUses(present?.uses ?? [], added, now);
        const lastTime = new Date(Math.max(...uses.map((use) => use.lastTime.getTime())));
        const after = { uses, lastTime };
        await reports.replaceOne({ _id: projectId }, after, { ...options, upsert: true });
      });
      await reading(write, signal);
    },

    /** All stored uses of a project's dead tokens. */
    async list(projectId: string, signal: AbortSignal): Promise<DeadTokenUse[]> {
      const found = await reading(reports.findOne({ _id: projectId }, bounded), signal);
      return found?.uses ?? [];
    },

    async purge(projectId: string, signal: AbortSignal): Promise<void> {
      await reading(reports.deleteOne({ _id: projectId }, bounded), signal);
    },
  };
}
