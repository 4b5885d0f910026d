import { randomBytes, randomUUID } from 'node:crypto';
import type { Access, FactReader } from '@silo/access/access.ts';
import { Authorization } from '@silo/access/authorization.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { checkByOwners } from '@silo/guard/test/check-by-owners.ts';
import { eventType } from '@silo/log/event-types.ts';
import { testEventLog } from '@silo/log/test/support.ts';
import { prepare } from '@silo/mongo/test/support.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  MemberOfTwo,
  Membership,
} from '@silo/protos/gen/silo/org/internal/v1/directory_service.ts';
import type { KeyFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { createReading } from '@silo/rpc/reading.ts';
import { refusalError } from '@silo/rpc/refusal.ts';
import { bind } from '@silo/rpc/test/bind.ts';
import { testCall } from '@silo/rpc/test/test-call.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { sagaMigrations } from '@silo/saga/saga-records.ts';
import { createSagas } from '@silo/saga/sagas.ts';
import type { Peers } from '@silo/service/peers.ts';
import { newId } from '@silo/tokens/ids.ts';
import type { ExecutionContext } from 'ava';
import type { Db } from 'mongodb';
import type { Dependencies } from '../handlers/dependencies.ts';
import { openSlots } from '../handlers/internal/slots.ts';
import { createReadMoveAccess } from '../handlers/shared/read-move-access.ts';
import { newProject } from '../rules/new-project.ts';
import { settingsOf } from '../rules/settings.ts';
import { createProjectsSaga } from '../sagas/create-projects.ts';
import { type CapturedEventStore, createCapturedEventStore } from '../store/captured-events.ts';
import { createDeadTokenStore, type DeadTokenStore } from '../store/dead-tokens.ts';
import type { ProjectDocument } from '../store/documents.ts';
import { createEventCounts, type EventCounts } from '../store/event-counts.ts';
import { createEventDeletionStore, type EventDeletionStore } from '../store/event-deletions.ts';
import { createEventQueries, type EventQueries } from '../store/event-queries.ts';
import { createMigrationStore } from '../store/migrations.ts';
import { createMoveStore } from '../store/moves.ts';
import { createProjectStore } from '../store/projects.ts';
import { createPropertyIndexStore, type PropertyIndexStore } from '../store/property-indexes.ts';
import { storeMigrations } from '../store/set-up.ts';
import { createSlotStore } from '../store/slots.ts';
import { createUsageStore, type UsageStore } from '../store/usage.ts';

/** An API key of the test, with the facts that the token service would return. */
export type TestKey = { keyHash: Buffer; fact: KeyFact };

/**
 * The project service on a real database, with a small world of organizations and keys around it.
 */
export type World = Dependencies & {
  db: Db;
  /** A key of a new account, or of the given one; unrestricted unless specified. */
  key(options?: Partial<KeyFact>): TestKey;
  /** An organization with its Default Project, owned by the key's account. */
  organization(
    owner: TestKey,
    options?: { name?: string; limit?: number | undefined; region?: 'us' | 'eu'; opened?: boolean },
  ): Promise<{ id: string; projectId: string }>;
  join(key: TestKey, organizationId: string, level: Level): void;
  leave(key: TestKey, organizationId: string): void;
  setMembersMayCreate(organizationId: string, may: boolean): void;
  /** Adds a project, checked only against the count. */
  addProject(organizationId: string, name: string): Promise<ProjectDocument>;
  /** An authorized call, as the server passes it to the handler. */
  call(
    key: TestKey,
    target?: { organizationId?: string; projectId?: string; level?: Level; requestId?: string },
  ): Promise<Call>;
  /** Bodies of the events of that name, oldest first. */
  events(event: string): Promise<Record<string, unknown>[]>;
  purged: string[];
  captured: CapturedEventStore;
  usage: UsageStore;
  deadTokens: DeadTokenStore;
  eventQueries: EventQueries;
  eventCounts: EventCounts;
  eventDeletions: EventDeletionStore;
  indexes: PropertyIndexStore;
  secrets: Parameters<typeof createProjectsSaga>[0]['secrets'];
};

export async function testWorld(t: ExecutionContext): Promise<World> {
  const { connection, eventLog } = await testEventLog(t);
  const { db } = connection;
  await Promise.all([prepare(db, storeMigrations), prepare(db, sagaMigrations)]);
  const [projects, slots, moves] = [
    createProjectStore(db),
    createSlotStore(db),
    createMoveStore(db),
  ];
  const keys = new Map<string, KeyFact>();
  const organizations = new Map<string, { name: string; may: boolean }>();
  const levels = new Map<string, Level>();
  const factReader: FactReader = {
    token: async () => undefined,
    key: async (hash) => keys.get(Buffer.from(hash).toString('hex')),
    project: projects.fact,
    organization: async (id) => {
      const found = organizations.get(id);
      return found && { membersMayCreateProjects: found.may };
    },
    membership: async (accountId, organizationId) => levels.get(`${accountId} ${organizationId}`),
  };
  const access: Access = checkByOwners(factReader);
  const purged: string[] = [];
  const secrets: World['secrets'] = {
    makeProjectToken: async ({ projectId }) => ({ token: `token of ${projectId}` }),
    storeApiKey: async () => ({}),
    readProjectToken: async ({ projectId }) => ({ token: `token of ${projectId}`, revision: 1 }),
    adoptProjectToken: async () => ({}),
    retireProjectToken: async () => ({}),
    endProjectTokenAdoption: async () => ({}),
    purgeProjectToken: async ({ projectId }) => {
      purged.push(projectId);
      return {};
    },
  };
  const createProjects = createProjectsSaga({ secrets });
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const sagas = createSagas({
    db,
    eventLog,
    owner: 'test',
    log: silentLogger(),
    definitions: [createProjects],
    signal: stop.signal,
  });
  const directory: Dependencies['peers']['org']['directory'] = {
    listMembersOfTwo: async function* ({ firstOrganizationId, secondOrganizationId }) {
      yield { members: membersOf(levels, firstOrganizationId, secondOrganizationId) };
    },
    describeOrganization: async ({ organizationId }) => ({
      name: organizations.get(organizationId)?.name ?? '',
    }),
    // Two at a time, so that readers must handle several messages.
    getAccountMemberships: async ({ accountId, pageToken }) => {
      const all = membershipsOf(accountId, organizations, levels);
      const from = Number(pageToken);
      const nextPageToken = from + 2 < all.length ? String(from + 2) : '';
      return { currentProjectId: '', memberships: all.slice(from, from + 2), nextPageToken };
    },
  };
  const migrations = createMigrationStore(db);
  const records = { projects, slots, moves, migrations };
  const common = {
    ...records,
    region: 'us' as const,
    regions: new Map(),
    eventLog,
    access,
    sagas,
    createProjects,
  };
  const tokenDirectory: Pick<Peers['token']['directory'], 'listLiveKeys'> = {
    listLiveKeys: async function* ({ accountIds }) {
      const live = [...keys.values()].filter(({ accountId }) => accountIds.includes(accountId));
      yield { keys: live.map((fact) => ({ ...fact, name: fact.keyId })) };
    },
  };
  const peers = { org: { directory } };
  const readMoveAccess = createReadMoveAccess({ ...peers, token: { directory: tokenDirectory } });
  const reading = createReading('large_reads');
  const dependencies: Dependencies = { ...common, peers, readMoveAccess, reading };

  const usage = createUsageStore(db);
  const world: World = {
    ...dependencies,
    db,
    purged,
    usage,
    deadTokens: createDeadTokenStore(db),
    captured: createCapturedEventStore(db, usage, createEventDeletionStore(db)),
    eventQueries: createEventQueries(db),
    eventCounts: createEventCounts(db),
    eventDeletions: createEventDeletionStore(db),
    indexes: createPropertyIndexStore(connection),
    secrets,
    key: (options = {}) => {
      const keyHash = randomBytes(32);
      const fact: KeyFact = {
        keyId: newId('key'),
        accountId: newId('acc'),
        scopes: ['*'],
        organizationIds: [],
        projectIds: [],
        expireTime: undefined,
        disabled: false,
        ...options,
      };
      keys.set(keyHash.toString('hex'), fact);
      return { keyHash, fact };
    },
    organization: async (owner, { name = 'Acme', limit, region = 'us', opened = true } = {}) => {
      const [id, projectId] = [newId(`org_${region}`), newId('prj')];
      organizations.set(id, { name, may: true });
      world.join(owner, id, Level.LEVEL_OWNER);
      const ids = { organizationId: id, defaultProjectId: projectId };
      const request = { ...ids, limit, actor: owner.fact.accountId, correlationId: randomUUID() };
      if (opened) await bind(openSlots, world)(request, await world.call(owner));
      return { id, projectId };
    },
    join: (key, organizationId, level) =>
      levels.set(`${key.fact.accountId} ${organizationId}`, level),
    leave: (key, organizationId) => levels.delete(`${key.fact.accountId} ${organizationId}`),
    setMembersMayCreate: (organizationId, may) => {
      const found = organizations.get(organizationId);
      if (found !== undefined) found.may = may;
    },
    addProject: async (organizationId, name) => {
      const id = newId('prj');
      const signal = AbortSignal.timeout(600_000);
      const mutation = { id: randomUUID(), actor: 'test', signal, authorization: undefined };
      const { value } = await eventLog.decide(mutation, async (tx) => {
        const settings = settingsOf(undefined, 'settings');
        const project = newProject({ name, settings }, { id, organizationId, now: tx.now });
        await projects.insert(tx, [project]);
        await db
          .collection<{ _id: string }>('slots')
          .updateOne({ _id: organizationId }, { $inc: { count: 1 } }, { session: tx.session });
        return project;
      });
      return value;
    },
    call: async ({ keyHash, fact }, { level, requestId, ...target } = {}) => {
      const signal = AbortSignal.timeout(600_000);
      const answer = await access.authorize({ keyHash, ...target, level }, signal);
      if (!answer.allowed) throw refusalError(answer.refusal);
      const caller = { kind: 'key' as const, keyHash, ...answer.facts };
      const options = { signal, account: fact.accountId, authorization: new Authorization() };
      return testCall(caller, { ...options, ...(requestId && { requestId }) });
    },
    events: async (event) => {
      await eventLog.head(AbortSignal.timeout(600_000));
      const { events } = await eventLog.read({ afterSequence: 0, limit: 1_000 });
      return events
        .filter((each) => each.type === eventType('project', event))
        .map(({ bodyJson }) => JSON.parse(bodyJson));
    },
  };
  return world;
}

function membersOf(
  levels: ReadonlyMap<string, Level>,
  firstOrganizationId: string,
  secondOrganizationId: string,
): MemberOfTwo[] {
  const accountIds = new Set([...levels.keys()].map((key) => key.split(' ')[0] ?? ''));
  const levelIn = (accountId: string, organizationId: string) =>
    levels.get(`${accountId} ${organizationId}`) ?? Level.LEVEL_UNSPECIFIED;
  return [...accountIds]
    .sort()
    .map((accountId) => ({
      accountId,
      displayName: '',
      firstLevel: levelIn(accountId, firstOrganizationId),
      secondLevel: levelIn(accountId, secondOrganizationId),
    }))
    .filter(({ firstLevel, secondLevel }) => firstLevel + secondLevel > 0);
}

function membershipsOf(
  accountId: string,
  organizations: ReadonlyMap<string, { name: string; may: boolean }>,
  levels: ReadonlyMap<string, Level>,
): Membership[] {
  return [...organizations].flatMap(([organizationId, { name, may }]) => {
    const level = levels.get(`${accountId} ${organizationId}`);
    if (level === undefined) return [];
    const organization = { organizationId, organizationName: name };
    return [{ ...organization, level, membersMayCreateProjects: may }];
  });
}

/** The error of a refused call; fails the test if it was not refused. */
export async function refusalOf(promise: Promise<unknown>): Promise<SiloError> {
  const [outcome] = await Promise.allSettled([promise]);
  if (outcome.status === 'rejected' && outcome.reason instanceof SiloError) return outcome.reason;
  throw outcome.status === 'rejected' ? outcome.reason : new Error('it was not refused');
}
