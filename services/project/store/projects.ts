import type { Transaction } from '@silo/log/event-log.ts';
import { readLinearizable } from '@silo/mongo/linearizable.ts';
import { type Page, pageOf, readPage } from '@silo/mongo/page.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import type { ProjectFact } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { BSON, type Collection, type Db, type Filter } from 'mongodb';
import { captureFields, captureSettingsOf } from '../rules/capture-settings.ts';
import { restorableMsMin } from '../rules/deleted-projects.ts';
import type { ProjectDocument } from './documents.ts';
import { type Search, type SearchKey, searchPipeline } from './project-search.ts';
import { byName } from './set-up.ts';

const active = ProjectState.PROJECT_STATE_ACTIVE;
const deleted = ProjectState.PROJECT_STATE_DELETED;
/** Number of found projects that are read at a time. */
const searchedAtOnce = 100;

/** A result of a search, with the project unless it has left the organization meanwhile. */
export type Found = { key: SearchKey; project: ProjectDocument | undefined };

/** What a change requires of the project; otherwise it changes nothing. */
export type Expected = {
  organizationId: string;
  revision?: number | undefined;
  /** The move that brought the project there. */
  moveId?: string | undefined;
};

/** Stores projects. A project of another organization than the given one counts as missing. */
export type ProjectStore = ReturnType<typeof createProjectStore>;

export function createProjectStore(db: Db) {
  const projects: Collection<ProjectDocument> = db.collection('projects', collectionOptions);

  const find = (filter: Filter<ProjectDocument>, { signal, ...options }: FindOptions) =>
    reading(projects.find(filter, { ...options, ...bounded }).toArray(), signal);

  /** Changes a project that is active and as expected. Returns the changed project. */
  const change = async (
    tx: Transaction,
    projectId: string,
    expected: Expected,
    values: Partial<ProjectDocument>,
  ): Promise<ProjectDocument | undefined> => {
    const changed = await projects.findOneAndUpdate(
      { _id: projectId, ...asExpected(expected) },
      { $set: { ...values, updateTime: tx.now }, $inc: { revision: 1 } },
      { session: tx.session, returnDocument: 'after' },
    );
    return changed ?? undefined;
  };

  /**
   * Returns the keys of a page of projects, and of one more; by two queries if there are many
   * organizations.
   */
  const searchKeys = async (search: Search, signal: AbortSignal): Promise<SearchKey[]> => {
    const keys: SearchKey[] = [];
    const [first, ...others] = search.organizationIds;
    // The first organization alone often fills the page, and the index has its names in order.
    for (const some of [first === undefined ? [] : [first], others]) {
      const limit = search.size + 1 - keys.length;
      if (some.length === 0 || limit === 0) break;
      const pipeline = searchPipeline(search, some, limit);
      const options = { hint: byName, ...bounded };
      const found = projects.aggregate<SearchKey>(pipeline, options);
      keys.push(...(await reading(found.toArray(), signal)));
    }
    return keys;
  };

  return {
    change,

    /** Returns the fact that decides access to a project, by a linearizable read. */
    async fact(projectId: string, signal: AbortSignal): Promise<ProjectFact | undefined> {
      const found = await readLinearizable(
        projects,
        { _id: projectId },
        {
          projection: { _id: 0, organizationId: 1, state: 1, migratedTo: 1, ...captureFields },
          signal,
        },
      );
      if (found === null) return undefined;
      const { organizationId, state, migratedTo } = found;
      return { organizationId, state, migratedTo, capture: captureSettingsOf(found) };
    },

    /** Returns an organization's active project. */
    async get(
      organizationId: string,
      projectId: string,
      signal: AbortSignal,
    ): Promise<ProjectDocument | undefined> {
      const [found] = await find({ _id: projectId, organizationId, state: active }, { signal });
      return found;
    },

    /**
     * Returns a page of an organization's projects, oldest first: active ones, or also deleted
     * ones.
     */
    async list(
      organizationId: string,
      { afterId, size, showDeleted }: { afterId: string; size: number; showDeleted: boolean },
      signal: AbortSignal,
    ): Promise<Page<ProjectDocument>> {
      const shown: Filter<ProjectDocument> = showDeleted
        ? { state: { $in: [active, deleted] }, purging: { $exists: false } }
        : { state: active };
      const filter = { organizationId, ...shown, _id: { $gt: afterId } };
      return await readPage(projects.find(filter, bounded).sort({ _id: 1 }), size, signal);
    },

    /** Returns a page of the active projects that match, by organization, name and id. */
    async search(search: Search, signal: AbortSignal): Promise<Page<Found>> {
      const keys = await searchKeys(search, signal);
      const wanted = keys.slice(0, search.size);
      const found: Found[] = [];
      // Reads a few at a time, because the page may reach its maximum of bytes long before that of
      // projects.
      for (let first = 0; first < wanted.length; first += searchedAtOnce) {
        const some = wanted.slice(first, first + searchedAtOnce);
        const ids = some.map(({ _id }) => _id);
        const read = await find({ _id: { $in: ids }, state: active }, { signal });
        const byId = new Map(read.map((project) => [project._id, project]));
        found.push(...some.map((key) => ({ key, project: sameOwner(byId.get(key._id), key) })));
        const page = pageOf(found, search.size, ({ project }) => sizeBytesOf(project));
        if (page.hasMore) return page;
      }
      return { items: found, hasMore: keys.length > search.size };
    },

    /** Returns those of the names that active projects of an organization have. */
    async existingNames(
      tx: Transaction,
      organizationId: string,
      names: readonly { name: string; searchName: string }[],
    ): Promise<string[]> {
      const found = await projects
        .find(
          {
            organizationId,
            state: active,
            searchName: { $in: names.map(({ searchName }) => searchName) },
            name: { $in: names.map(({ name }) => name) },
          },
          { session: tx.session, projection: { name: 1 } },
        )
        .toArray();
      return found.map(({ name }) => name);
    },

    async insert(tx: Transaction, documents: readonly ProjectDocument[]): Promise<void> {
      if (documents.length === 0) return;
      await projects.insertMany([...documents], { session: tx.session });
    },

    /** Returns an organization's project in any state, as of the transaction. */
    async read(
      tx: Transaction,
      organizationId: string,
      projectId: string,
    ): Promise<ProjectDocument | undefined> {
      const filter = { _id: projectId, organizationId };
      return (await projects.findOne(filter, { session: tx.session })) ?? undefined;
    },

    /**
     * Marks a project as deleted, to be purged at the given time; later if that is too early by
     * MongoDB's clock, because a purge cannot be undone.
     */
    async remove(
      tx: Transaction,
      projectId: string,
      expected: Expected,
      purgeTime: Date,
    ): Promise<ProjectDocument | undefined> {
      const earliest = { $add: ['$$NOW', restorableMsMin] };
      const times = { updateTime: tx.now, purgeTime: { $max: [purgeTime, earliest] } };
      const removed = await projects.findOneAndUpdate(
        { _id: projectId, ...asExpected(expected) },
        [{ $set: { ...times, state: deleted, revision: { $add: ['$revision', 1] } } }],
        { session: tx.session, returnDocument: 'after' },
      );
      return removed ?? undefined;
    },

    /**
     * Gives projects to another organization, all or none, and returns them in the same order.
     * Returns undefined if one is not active and as expected; the transaction must then be aborted.
     */
    async transfer(
      tx: Transaction,
      projectIds: readonly string[],
      expected: Expected,
      to: { organizationId: string; moveId: string },
    ): Promise<ProjectDocument[] | undefined> {
      const [first, ...others] = projectIds;
      if (first !== undefined && others.length === 0) {
        const moved = await change(tx, first, expected, to);
        return moved && [moved];
      }
      const { session } = tx;
      const _id = { $in: [...projectIds] };
      const { modifiedCount } = await projects.updateMany(
        { _id, ...asExpected(expected) },
        { $set: { ...to, updateTime: tx.now }, $inc: { revision: 1 } },
        { session },
      );
      if (modifiedCount !== projectIds.length) return undefined;
      const moved = await projects.find({ _id }, { session }).toArray();
      return inOrder(projectIds, moved);
    },

    /** Returns those of the projects that exist, of any organization, as of the transaction. */
    async readMany(tx: Transaction, projectIds: readonly string[]): Promise<ProjectDocument[]> {
      const { session } = tx;
      return await projects.find({ _id: { $in: [...projectIds] } }, { session }).toArray();
    },

    /** Returns those of the projects that belong to an organization, in any state. */
    async getMany(
      organizationId: string,
      projectIds: readonly string[],
      signal: AbortSignal,
    ): Promise<ProjectDocument[]> {
      return await find({ _id: { $in: [...projectIds] }, organizationId }, { signal });
    },

    /** Counts an organization's deleted projects that can still be undeleted. */
    async countRestorable(tx: Transaction, organizationId: string): Promise<number> {
      const filter = { organizationId, ...restorable(tx.now) };
      return await projects.countDocuments(filter, { session: tx.session });
    },

    /** Activates a deleted project, unless its time is over. */
    async restore(
      tx: Transaction,
      organizationId: string,
      projectId: string,
    ): Promise<ProjectDocument | undefined> {
      const restored = await projects.findOneAndUpdate(
        { _id: projectId, organizationId, ...restorable(tx.now) },
        {
          $set: { state: active, updateTime: tx.now },
          $unset: { purgeTime: '' },
          $inc: { revision: 1 },
        },
        { session: tx.session, returnDocument: 'after' },
      );
      return restored ?? undefined;
    },

    /**
     * Returns ids of deleted projects of any organization that are due to be purged, both by the
     * caller's clock and by MongoDB's.
     */
    async due(
      now: Date,
      { limit, except = [] }: { limit: number; except?: readonly string[] },
      signal: AbortSignal,
    ): Promise<string[]> {
      const filter = { ...dueBy(now), _id: { $nin: [...except] } };
      const found = await find(filter, { sort: { purgeTime: 1 }, limit, signal });
      return found.map(({ _id }) => _id);
    },

    /**
     * Begins the purge of a deleted project that is due by both clocks; from then on it cannot be
     * restored. Returns whether the purge has begun, now or before.
     */
    async beginPurge(projectId: string, now: Date, signal: AbortSignal): Promise<boolean> {
      const begun = projects.updateOne(
        { ...dueBy(now), _id: projectId },
        { $set: { purging: true } },
        bounded,
      );
      return (await reading(begun, signal)).matchedCount === 1;
    },

    /** Removes a project whose purge has begun. */
    async purge(projectId: string, signal: AbortSignal): Promise<void> {
      const purged = projects.deleteOne({ _id: projectId, purging: true }, bounded);
      await reading(purged, signal);
    },
  };
}

/** Matches projects that are deleted and not due to be purged. */
function restorable(now: Date): Filter<ProjectDocument> {
  return { state: deleted, purgeTime: { $gt: now }, purging: { $exists: false } };
}

/** Uses the earlier of two clocks: a process whose clock is ahead must purge nothing early. */
function dueBy(now: Date): Filter<ProjectDocument> {
  const purgeTime = { $lte: now };
  return { state: deleted, purgeTime, $expr: { $lte: ['$purgeTime', '$$NOW'] } };
}

function asExpected({ organizationId, revision, moveId }: Expected): Filter<ProjectDocument> {
  return {
    ...{ organizationId, state: active },
    ...(revision !== undefined && { revision }),
    ...(moveId !== undefined && { moveId }),
  };
}

function inOrder(ids: readonly string[], documents: ProjectDocument[]): ProjectDocument[] {
  const byId = new Map(documents.map((each) => [each._id, each]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}

type FindOptions = { sort?: Record<string, 1>; limit?: number; signal: AbortSignal };

/** A project that was moved after the search found it is not returned. */
function sameOwner(
  project: ProjectDocument | undefined,
  { organizationId }: SearchKey,
): ProjectDocument | undefined {
  return project?.organizationId === organizationId ? project : undefined;
}

function sizeBytesOf(project: ProjectDocument | undefined): number {
  return project === undefined ? 0 : BSON.calculateObjectSize(project);
}
