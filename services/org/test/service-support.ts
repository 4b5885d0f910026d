import { randomUUID } from 'node:crypto';
import { Authorization } from '@silo/access/authorization.ts';
import { checkByOwners } from '@silo/guard/test/check-by-owners.ts';
import { parseEventType } from '@silo/log/event-types.ts';
import { prepare } from '@silo/mongo/test/support.ts';
import { TryResult } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import type { Call, Caller, KeyCaller } from '@silo/rpc/call.ts';
import { createReading } from '@silo/rpc/reading.ts';
import { bind } from '@silo/rpc/test/bind.ts';
import { testCall } from '@silo/rpc/test/test-call.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { Progress } from '@silo/runtime/progress.ts';
import { sagaMigrations } from '@silo/saga/saga-records.ts';
import { createSagas } from '@silo/saga/sagas.ts';
import type { Peers } from '@silo/service/peers.ts';
import { newProjectToken } from '@silo/tokens/secrets.ts';
import type { ExecutionContext } from 'ava';
import { createAccount } from '../handlers/create-account.ts';
import type { Dependencies } from '../handlers/dependencies.ts';
import { createFollower } from '../loops/activity-follower.ts';
import { defineSagas } from '../sagas/definitions.ts';
import { createOrgFactReader } from '../store/fact-reader.ts';
import { type StoreHarness, storeHarness } from './support.ts';

/** The responses of the other services, and the requests to them. */
export type ScriptedPeers = {
  calls: string[];
  closeResult: TryResult;
  projectCount: number;
  /** Awaited before the slots respond to a conditional change. */
  beforeTry: () => Promise<void>;
};

/** The caller, the request_id, and the restriction of the key. */
type CallOptions = {
  accountId?: string;
  requestId?: string;
  staff?: boolean;
  organizationIds?: string[];
  projectIds?: string[];
};

export type ServiceHarness = StoreHarness & {
  dependencies: Dependencies;
  peers: ScriptedPeers;
  /** A call with an account's key, or without credentials. */
  call(options?: CallOptions): Call;
  /** Signs up, and returns the ids. */
  signUp(email: string): Promise<{ accountId: string; organizationId: string }>;
  /** The events of the log, in order. */
  emittedEvents(): Promise<string[]>;
};

/** Org's handlers on real stores; the steps in other services are scripted. */
export async function serviceHarness(
  t: ExecutionContext,
  options: { signup?: 'open' | 'closed' } = {},
): Promise<ServiceHarness> {
  const harness = await storeHarness(t);
  const { connection, eventLog, stores, signal } = harness;
  const { db } = connection;
  await prepare(db, sagaMigrations);
  const peers: ScriptedPeers = {
    calls: [],
    closeResult: TryResult.TRY_RESULT_ACCEPTED,
    projectCount: 0,
    beforeTry: async () => {},
  };
  const definitions = defineSagas(stores, scripted(peers));
  const log = silentLogger();
  const shared = { db, eventLog, clock: systemClock, log, signal };
  const sagas = createSagas({
    ...shared,
    owner: randomUUID(),
    definitions: Object.values(definitions),
  });
  const nothing = async () => undefined;
  const { key } = keyCallerOf('acc_1', {});
  const factReader = {
    token: nothing,
    key: async () => key,
    project: nothing,
    ...createOrgFactReader(stores),
  };
  const access = checkByOwners(factReader);
  const logs = [eventLog];
  const progress = new Progress('activity');
  const follower = createFollower({ activity: stores.activity, eventLog, logs, log, progress });
  const { signup = 'open' } = options;
  const base = {
    stores,
    factReader,
    eventLog,
    access,
    clock: systemClock,
    region: 'us' as const,
    signup,
    reading: createReading('large_reads'),
  };
  const dependencies: Dependencies = { ...base, sagas, definitions, follower };
  const call: ServiceHarness['call'] = (options = {}) => makeCall(signal, options);
  return {
    ...harness,
    dependencies,
    peers,
    call,
    async signUp(email) {
      const requestId = randomUUID();
      const request = { email, displayName: 'Somebody', organizationName: 'Acme', requestId };
      const answer = await bind(createAccount, dependencies)(request, call({ requestId }));
      return {
        accountId: answer.account?.id ?? '',
        organizationId: answer.organization?.id ?? '',
      };
    },
    async emittedEvents() {
      await eventLog.head(signal);
      const all: string[] = [];
      for (;;) {
        const range = { afterSequence: all.length, limit: 10_000 };
        const { events } = await eventLog.read(range, signal);
        if (events.length === 0) return all;
        all.push(...events.map(({ type }) => parseEventType(type)?.event ?? ''));
      }
    },
  };
}

function scripted(peers: ScriptedPeers): Peers {
  const projectToken = newProjectToken();
  const answer = async (name: string, response: unknown) => {
    peers.calls.push(name);
    return response;
  };
  return {
    billing: {
      subscriptions: {
        openSubscription: () => answer('openSubscription', { limit: 1 }),
        closeSubscription: () => answer('closeSubscription', {}),
      },
    },
    project: {
      slots: {
        openSlots: () => answer('openSlots', {}),
        async tryCloseSlots() {
          await peers.beforeTry();
          const { closeResult: result, projectCount: count } = peers;
          return await answer('tryCloseSlots', { outcome: { result, count } });
        },
      },
    },
    token: {
      secrets: {
        makeProjectToken: () => answer('makeProjectToken', { token: projectToken }),
        storeApiKey: () => answer('storeApiKey', {}),
      },
    },
  } as unknown as Peers;
}

function makeCall(signal: AbortSignal, options: CallOptions): Call {
  const { accountId, requestId, staff = false } = options;
  const actor = staff ? 'staff/ops' : (accountId ?? 'anyone');
  const authorization = new Authorization();
  const made = { account: actor, signal, authorization, ...(requestId && { requestId }) };
  return testCall(callerOf(options), made);
}

function callerOf(options: CallOptions): Caller {
  const { accountId, staff } = options;
  if (staff) return { kind: 'certificate', role: 3, name: 'ops' };
  if (accountId === undefined) return { kind: 'anyone' };
  return keyCallerOf(accountId, options);
}

function keyCallerOf(
  accountId: string,
  { organizationIds = [], projectIds = [] }: CallOptions,
): KeyCaller {
  const reach = { scopes: ['*'], organizationIds, projectIds };
  const live = { expireTime: undefined, disabled: false };
  const key = { keyId: 'key_1', accountId, ...reach, ...live };
  return { kind: 'key', keyHash: Buffer.alloc(32, 1), key };
}
