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
/** How many found projects are read at a time. */
const searchedAtOnce = 100;

/** A place in the answer of a search, and the project unless it left that place meanwhile. */
export type Found = { key: SearchKey; project: ProjectDocument | undefined };

/** What a change expects to find; anything else changes nothing. */
export type Expected = {
  organizationId: string;
  revision?: number | undefined;
  /** The move that brought it there. */
  moveId?: string | undefined;
};

/** The projects. What belongs to another organization than the one given is not there. */
export type ProjectStore = ReturnType<typeof createProjectStore>;

export function createProjectStore(db: Db) {
  const projects: Collection<ProjectDocument> = db.collection('projects', collectionOptions);

  const find = (filter: Filter<ProjectDocument>, { signal, ...options }: FindOptions) =>
    reading(projects.find(filter, { ...options, ...bounded }).toArray(), signal);

  /** Changes a project that is active and as expected; answers it as it is then. */
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

  /** Where the projects of a page are, and of one more: by two queries, if many organizations. */
  const searchKeys = async (search: Search, signal: AbortSignal): Promise<SearchKey[]> => {
    const keys: SearchKey[] = [];
    const [first, ...others] = search.organizationIds;
    // Often the first organization alone fills the page, and the index has its names in order.
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

    /** What decides access to a project, as of now. */
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

    /** An organization's active project. */
    async get(
      organizationId: string,
      projectId: string,
      signal: AbortSignal,
    ): Promise<ProjectDocument | undefined> {
      const [found] = await find({ _id: projectId, organizationId, state: active }, { signal });
      return found;
    },

    /** A page of an organization's projects, oldest first: active ones, or deleted ones too. */
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

    /** A page of the active projects that match, by organization, then name, then id. */
    async search(search: Search, signal: AbortSignal): Promise<Page<Found>> {
      const keys = await searchKeys(search, signal);
      const wanted = keys.slice(0, search.size);
      const found: Found[] = [];
      // A few at a time, because the page may end at its bytes long before its count.
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

    /** Which of these names an organization's active projects have. */
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

    /** An organization's project in whatever state, as of the transaction. */
    async read(
      tx: Transaction,
      organizationId: string,
      projectId: string,
    ): Promise<ProjectDocument | undefined> {
      const filter = { _id: projectId, organizationId };
      return (await projects.findOne(filter, { session: tx.session })) ?? undefined;
    },

    /**
     * Marks a project deleted, to be purged then; later where that is too early by MongoDB's clock, as
     * nothing brings back what is purged.
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
     * Gives projects to another organization, all or none, and answers them in that order.
     * Undefined where one is not active and as expected; the transaction must then be given up.
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

    /** Those of these projects that exist, whosever they are, as of the transaction. */
    async readMany(tx: Transaction, projectIds: readonly string[]): Promise<ProjectDocument[]> {
      const { session } = tx;
      return await projects.find({ _id: { $in: [...projectIds] } }, { session }).toArray();
    },

    /** Those of an organization's projects, in whatever state. */
    async getMany(
      organizationId: string,
      projectIds: readonly string[],
      signal: AbortSignal,
    ): Promise<ProjectDocument[]> {
      return await find({ _id: { $in: [...projectIds] }, organizationId }, { signal });
    },

    /** How many of an organization's deleted projects could still be undeleted. */
    async countRestorable(tx: Transaction, organizationId: string): Promise<number> {
      const filter = { organizationId, ...restorable(tx.now) };
      return await projects.countDocuments(filter, { session: tx.session });
    },

    /** Makes a deleted project active again, unless its time is over. */
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
     * Ids of deleted projects, of any organization, whose time to be purged has come: by the caller's clock
     * and by MongoDB's.
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
     * Begins the purge of a deleted project whose time has come, by both clocks: from then on nothing brings it
     * back. Answers whether it has begun, now or before.
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

/** Deleted, and not yet to be purged. */
function restorable(now: Date): Filter<ProjectDocument> {
  return { state: deleted, purgeTime: { $gt: now }, purging: { $exists: false } };
}

/** By the earlier of two clocks: one process whose clock is ahead must purge nothing. */
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

/** One that moved since it was found is not where it was found. */
function sameOwner(
  project: ProjectDocument | undefined,
  { organizationId }: SearchKey,
): ProjectDocument | undefined {
  return project?.organizationId === organizationId ? project : undefined;
}

function sizeBytesOf(project: ProjectDocument | undefined): number {
  return project === undefined ? 0 : BSON.calculateObjectSize(project);
}
