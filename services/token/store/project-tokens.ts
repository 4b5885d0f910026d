import type { Transaction } from '@silo/log/event-log.ts';
import { readLinearizable } from '@silo/mongo/linearizable.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import type { TokenFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import type { Db } from 'mongodb';
import type { ProjectDocument, ProjectTokenDocument, RevokedTokenDocument } from './documents.ts';

/** Of each project; the oldest ones are forgotten. */
const revokedMax = 100;

/** The project tokens: at most one of each project is live. */
export type ProjectTokenStore = ReturnType<typeof createProjectTokenStore>;

/** Opens the project tokens in the service's database. */
export function createProjectTokenStore(db: Db) {
  const projects = db.collection<ProjectDocument>('projects', collectionOptions);
  const tokens = db.collection<ProjectTokenDocument>('project_tokens', collectionOptions);
  const revoked = db.collection<RevokedTokenDocument>('revoked_tokens', collectionOptions);
  return {
    async findIn(
      { session }: Transaction,
      projectId: string,
    ): Promise<ProjectDocument | undefined> {
      return (await projects.findOne({ _id: projectId }, { session })) ?? undefined;
    },

    async find(projectId: string, signal: AbortSignal): Promise<ProjectDocument | undefined> {
      const query = projects.findOne({ _id: projectId }, bounded);
      return (await reading(query, signal)) ?? undefined;
    },

    /** A project's state by one linearizable read. */
    async readNow(projectId: string, signal: AbortSignal): Promise<ProjectDocument | undefined> {
      return (await readLinearizable(projects, { _id: projectId }, { signal })) ?? undefined;
    },

    /**
     * Writes a project's first state, whose token is live from then on. Where the project has a
     * state, answers that one and changes nothing.
     */
    async insert(
      { session }: Transaction,
      { _id, ...first }: ProjectDocument,
    ): Promise<ProjectDocument | undefined> {
      const present = await projects.findOneAndUpdate(
        { _id },
        { $setOnInsert: first },
        { session, upsert: true, returnDocument: 'before' },
      );
      if (present !== null) return present;
      const { current } = first;
      if (current) await tokens.insertOne({ _id: current.hash, projectId: _id }, { session });
      return undefined;
    },

    /** Writes a project's state; only its current token is live from then on. */
    async save(
      { session, now }: Transaction,
      project: ProjectDocument,
      before: ProjectDocument | undefined,
    ): Promise<void> {
      const { _id: projectId, current } = project;
      await projects.replaceOne({ _id: projectId }, project, { session, upsert: true });
      if (before?.current) {
        const { hash } = before.current;
        // A migration may have brought back one that was revoked before.
        const ended = { projectId, revokeTime: now };
        await revoked.replaceOne({ _id: hash }, ended, { session, upsert: true });
        const older = { session, sort: { revokeTime: -1 }, skip: revokedMax, limit: 1 } as const;
        const forgotten = await revoked.find({ projectId }, older).toArray();
        await revoked.deleteMany({ _id: { $in: forgotten.map(({ _id }) => _id) } }, { session });
      }
      await tokens.deleteMany({ projectId }, { session });
      if (current) await tokens.insertOne({ _id: current.hash, projectId }, { session });
    },

    /** Writes a project's state, whose token is the same as before. */
    async note({ session }: Transaction, { _id, ...rest }: ProjectDocument): Promise<void> {
      await projects.replaceOne({ _id }, rest, { session });
    },

    /** Which projects have tokens with these hashes, or had them until they were revoked. */
    async projectsOf(
      tokenHashes: readonly Uint8Array[],
      signal: AbortSignal,
    ): Promise<ProjectTokenDocument[]> {
      const filter = { _id: { $in: tokenHashes.map((hash) => Buffer.from(hash)) } };
      const found = [tokens.find(filter, bounded), revoked.find(filter, bounded)];
      const all = Promise.all(found.map((cursor) => cursor.toArray()));
      return (await reading(all, signal)).flat();
    },

    /** The fact of a token by one linearizable read; undefined: unknown or revoked. */
    async readFact(tokenHash: Uint8Array, signal: AbortSignal): Promise<TokenFact | undefined> {
      const found = await readLinearizable(tokens, { _id: Buffer.from(tokenHash) }, { signal });
      return found === null ? undefined : { projectId: found.projectId };
    },
  };
}
