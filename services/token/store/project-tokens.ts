import type { Transaction } from '@silo/log/event-log.ts';
import { readLinearizable } from '@silo/mongo/linearizable.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import type { TokenFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import type { Db } from 'mongodb';
import type { ProjectDocument, ProjectTokenDocument, RevokedTokenDocument } from './documents.ts';

/** Number of revoked tokens that are kept for each project. Older ones are deleted. */
const revokedMax = 100;

/** The project tokens. Each project has at most one live token. */
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

    /** Reads a project's state by one linearizable read. */
    async readNow(projectId: string, signal: AbortSignal): Promise<ProjectDocument | undefined> {
      return (await readLinearizable(projects, { _id: projectId }, { signal })) ?? undefined;
    },

    /**
     * Writes a project's first state and makes its token live. If the project has a state, returns
     * it and changes nothing.
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

    /** Writes a project's state. From then on, only its current token is live. */
    async save(
      { session, now }: Transaction,
      project: ProjectDocument,
      before: ProjectDocument | undefined,
    ): Promise<void> {
      const { _id: projectId, current } = project;
      await projects.replaceOne({ _id: projectId }, project, { session, upsert: true });
      if (before?.current) {
        const { hash } = before.current;
        // A migration may have brought back a token that was revoked before.
        const ended = { projectId, revokeTime: now };
        await revoked.replaceOne({ _id: hash }, ended, { session, upsert: true });
        const older = { session, sort: { revokeTime: -1 }, skip: revokedMax, limit: 1 } as const;
        const forgotten = await revoked.find({ projectId }, older).toArray();
        await revoked.deleteMany({ _id: { $in: forgotten.map(({ _id }) => _id) } }, { session });
      }
      await tokens.deleteMany({ projectId }, { session });
      if (current) await tokens.insertOne({ _id: current.hash, projectId }, { session });
    },

    /** Writes a project's state without a change of its token. */
    async note({ session }: Transaction, { _id, ...rest }: ProjectDocument): Promise<void> {
      await projects.replaceOne({ _id }, rest, { session });
    },

    /**
     * Returns the projects that have tokens with these hashes, or had them until they were revoked.
     */
    async projectsOf(
      tokenHashes: readonly Uint8Array[],
      signal: AbortSignal,
    ): Promise<ProjectTokenDocument[]> {
      const filter = { _id: { $in: tokenHashes.map((hash) => Buffer.from(hash)) } };
      const found = [tokens.find(filter, bounded), revoked.find(filter, bounded)];
      const all = Promise.all(found.map((cursor) => cursor.toArray()));
      return (await reading(all, signal)).flat();
    },

    /** Returns the fact of a token by one linearizable read; undefined: unknown or revoked. */
    async readFact(tokenHash: Uint8Array, signal: AbortSignal): Promise<TokenFact | undefined> {
      const found = await readLinearizable(tokens, { _id: Buffer.from(tokenHash) }, { signal });
      return found === null ? undefined : { projectId: found.projectId };
    },
  };
}
