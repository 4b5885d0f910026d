import type { Transaction } from '@silo/log/event-log.ts';
import type { Index } from '@silo/mongo/indexes.ts';
import { readLinearizable } from '@silo/mongo/linearizable.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { BSON, type Db, type Filter, type UpdateFilter } from 'mongodb';
import type { ProjectDocument } from './documents.ts';
import { migrationCollection } from './migrations.ts';

const { PROJECT_STATE_ACTIVE: active, PROJECT_STATE_DELETED: deleted } = ProjectState;
const { PROJECT_STATE_MIGRATING: migrating, PROJECT_STATE_MIGRATED: migrated } = ProjectState;

/** The index of the projects that are in another region. */
export const migratedIndex: Index = {
  key: { state: 1 },
  name: 'by_migrated',
  partialFilterExpression: { state: migrated },
};

/** The index of the projects that are in one other region, in the order of their ids. */
export const migratedToIndex: Index = {
  key: { 'migratedTo.region': 1, _id: 1 },
  name: 'by_region',
  partialFilterExpression: { state: migrated },
};

/** A project that is in another region, as of one revision. */
export type MigratedProject = Pick<ProjectDocument, '_id' | 'revision'>;

/** The documents of projects that migrate, at both ends of the migration. */
export type MigratingProjectStore = ReturnType<typeof createMigratingProjectStore>;

export function createMigratingProjectStore(db: Db) {
  const projects = db.collection<ProjectDocument>('projects', collectionOptions);
  const migrations = migrationCollection(db);

  const change = async (
    tx: Transaction,
    filter: Filter<ProjectDocument>,
    { $set, $unset }: Pick<UpdateFilter<ProjectDocument>, '$set' | '$unset'>,
  ): Promise<ProjectDocument | undefined> => {
    const changed = await projects.findOneAndUpdate(
      filter,
      {
        $set: { ...$set, updateTime: tx.now },
        ...($unset && { $unset }),
        $inc: { revision: 1 },
      },
      { session: tx.session, returnDocument: 'after' },
    );
    return changed ?? undefined;
  };

  return {
    /** Suspends the use of an organization's active project here; undefined if there is none. */
    async hold(
      tx: Transaction,
      projectId: string,
      organizationId: string,
    ): Promise<ProjectDocument | undefined> {
      const filter = { _id: projectId, organizationId, state: active };
      return await change(tx, filter, { $set: { state: migrating } });
    },

    /** Activates a project that was held, or that has come to this region. */
    async activate(tx: Transaction, projectId: string): Promise<ProjectDocument | undefined> {
      const filter = { _id: projectId, state: migrating };
      return await change(tx, filter, { $set: { state: active } });
    },

    /** Marks a held project as migrated to another region. */
    async leave(
      tx: Transaction,
      projectId: string,
      migratedTo: { region: string; organizationId: string },
    ): Promise<ProjectDocument | undefined> {
      const filter = { _id: projectId, state: migrating };
      return await change(tx, filter, { $set: { state: migrated, migratedTo } });
    },

    /** Returns a project of any organization, as of the transaction. */
    async read(tx: Transaction, projectId: string): Promise<ProjectDocument | undefined> {
      return (await projects.findOne({ _id: projectId }, { session: tx.session })) ?? undefined;
    },

    /** Returns a project of any organization, by a linearizable read. */
    async find(projectId: string, signal: AbortSignal): Promise<ProjectDocument | undefined> {
      return (await readLinearizable(projects, { _id: projectId }, { signal })) ?? undefined;
    },

    /**
     * Returns those of the projects that exist, of any organization; the result may be slightly
     * stale.
     */
    async findMany(
      projectIds: readonly string[],
      signal: AbortSignal,
    ): Promise<Map<string, ProjectDocument>> {
      const query = projects.find({ _id: { $in: [...projectIds] } }, bounded);
      const found = await reading(query.toArray(), signal);
      return new Map(found.map((project) => [project._id, project]));
    },

    /** Whether any project is in another region, or has an open migration from here. */
    async haveAnyLeft(signal: AbortSignal): Promise<boolean> {
      const options = { ...bounded, projection: { _id: 1 } };
      // In this order: when its record is no longer open, the project is already marked as
      // migrated.
      const open = migrations.findOne({ side: 'source', isOpen: true }, options);
      if ((await reading(open, signal)) !== null) return true;
      const left = projects.findOne({ state: migrated }, { ...options, hint: migratedIndex.name });
      return (await reading(left, signal)) !== null;
    },

    /**
     * Returns a page of the projects that have migrated to a region, by id after the given one; ''
     * for the first page.
     */
    async migratedTo(
      region: string,
      { after, limit }: { after: string; limit: number },
      signal: AbortSignal,
    ): Promise<MigratedProject[]> {
      const filter = { state: migrated, 'migratedTo.region': region, _id: { $gt: after } };
      const projection = { _id: 1, revision: 1 } as const;
      const options = { ...bounded, projection, sort: { _id: 1 } as const, limit };
      return await reading(projects.find(filter, options).toArray(), signal);
    },

    /**
     * Marks a project that is in another region as deleted and due to be purged; undefined if it
     * has changed. It cannot be restored.
     */
    async end(
      tx: Transaction,
      { _id, revision }: MigratedProject,
    ): Promise<ProjectDocument | undefined> {
      const values = { state: deleted, purging: true as const, purgeTime: tx.now };
      return await change(tx, { _id, revision, state: migrated }, { $set: values });
    },

    /** Stores a project, and replaces the stored one, if any. */
    async put(tx: Transaction, project: ProjectDocument): Promise<void> {
      const { _id, ...rest } = project;
      const options = { upsert: true, session: tx.session };
      await projects.replaceOne({ _id }, rest, options);
    },

    /** Removes a project that has arrived but was not activated. */
    async remove(tx: Transaction, projectId: string): Promise<void> {
      await projects.deleteOne({ _id: projectId, state: migrating }, { session: tx.session });
    },
  };
}

/** A project as BSON, for the other region. */
export function encodeProject(project: ProjectDocument): Buffer {
  return Buffer.from(BSON.serialize(project));
}

/** Decodes the result of `encodeProject`. */
export function decodeProject(bytes: Uint8Array): ProjectDocument {
  return BSON.deserialize(bytes) as ProjectDocument;
}
