import { randomUUID } from 'node:crypto';
import type { Access, Answer, Question } from '@silo/access/access.ts';
import { Authorization } from '@silo/access/authorization.ts';
import { errors } from '@silo/errors/errors.ts';
import { lastingPermit } from '@silo/guard/test/lasting-permit.ts';
import { mutation, testEventLog } from '@silo/log/test/support.ts';
import { prepare } from '@silo/mongo/test/support.ts';
import {
  type BillingDetails,
  type ChangePlanResponse,
  Plan,
} from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { Level, levelToJSON } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  TryResult,
  type TrySetLimitRequest,
} from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import { checkAccess } from '@silo/rpc/check-access.ts';
import { bind } from '@silo/rpc/test/bind.ts';
import { testCall } from '@silo/rpc/test/test-call.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { sagaMigrations } from '@silo/saga/saga-records.ts';
import { createSagas } from '@silo/saga/sagas.ts';
import type { ExecutionContext } from 'ava';
import { countPermits } from '../../../test/harness/counted-permits.ts';
import { changePlan } from '../handlers/change-plan.ts';
import type { Dependencies } from '../handlers/dependencies.ts';
import { updateBillingDetails } from '../handlers/update-billing-details.ts';
import { createChangePlanSaga } from '../sagas/change-plan.ts';
import type { SubscriptionDocument } from '../store/documents.ts';
import { storeMigrations } from '../store/set-up.ts';
import { createSubscriptionStore } from '../store/subscriptions.ts';

export const now = new Date('2030-01-01T00:00:00Z');

export const billingDetails: BillingDetails = {
  ...{ companyName: 'Hooli', email: 'bills@hooli.example', address: '1 Way', countryCode: 'US' },
  taxId: '',
};

/** A stored subscription. */
export function subscriptionDocument(
  over: Partial<SubscriptionDocument> = {},
): SubscriptionDocument {
  return {
    ...{ _id: 'org_us_1', plan: Plan.PLAN_FREE, closed: false, revision: 1, intentRevision: 0 },
    ...{ createTime: now, updateTime: now },
    ...over,
  };
}

/**
 * The responses of project, which the test sets. It remembers its last outcome, as project does.
 */
export type ProjectAnswers = {
  count: number;
  limit: number | undefined;
  mayAccess: boolean;
  /** The hash of a key that is invalid. */
  deadKey: Buffer | undefined;
  /** Runs before each call to project. */
  before: (rpc: 'getSlots' | 'trySetLimit') => void;
  changes: TrySetLimitRequest[];
  /** Number of next changes that are made but whose responses are lost. */
  answersLost: number;
};

/** Billing on a real database, with a scripted project service. */
export async function openBilling(t: ExecutionContext) {
  const { connection, eventLog } = await testEventLog(t, 'billing');
  const { db } = connection;
  await prepare(db, storeMigrations);
  await prepare(db, sagaMigrations);
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const project: ProjectAnswers = {
    ...{ count: 1, limit: 1, mayAccess: true, deadKey: undefined, changes: [], answersLost: 0 },
    before: () => {},
  };
  const slots = slotsOf(project);
  const subscriptions = createSubscriptionStore(db);
  const changePlanSaga = createChangePlanSaga({
    subscriptions,
    slots,
    clock: systemClock,
  });
  const sagas = createSagas({
    ...{ db, eventLog, owner: randomUUID(), log: silentLogger() },
    ...{ definitions: [changePlanSaga], signal: stop.signal },
  });
  const permits = { taken: 0, held: 0 };
  const access = countPermits(accessOf(project), permits);
  const caller = { kind: 'key' as const, keyHash, key };
  const dependencies: Dependencies = {
    eventLog,
    subscriptions,
    slots,
    access,
    sagas,
    changePlanSaga,
  };
  const insert = (subscription: SubscriptionDocument) =>
    eventLog.decide(mutation(), (tx) => subscriptions.insert(tx, subscription));
  /** A call as it is authorized: with a permit. */
  const admitted = async (options: Parameters<typeof testCall>[1] = {}) => {
    const call = testCall(caller, { ...options, authorization: new Authorization() });
    await checkAccess(access, call, { keyHash });
    return call;
  };
  /** The same request by another key of the account, which joins the saga of the first. */
  const join = async (plan: Plan, sagaId: string) => {
    const request = { organizationId: 'org_us_1', plan, etag: '', requestId: 'again' };
    const call = testCall({ ...caller, keyHash: Buffer.alloc(32, 2) });
    const repeat = { sagaId, reauthorize: [], bodyHash: Buffer.alloc(32) };
    return await bind(changePlan, dependencies)(request, { ...call, repeat });
  };
  const change = async (
    plan: Plan,
    options: { etag?: string; requestId?: string } = {},
  ): Promise<ChangePlanResponse> => {
    const { etag = '', requestId = '' } = options;
    const request = { organizationId: 'org_us_1', plan, etag, requestId };
    const call = await admitted({ ...(requestId && { requestId }), body: `${plan}` });
    return await bind(changePlan, dependencies)(request, call);
  };
  const updateDetails = async () => {
    const request = { organizationId: 'org_us_1', billingDetails, etag: '', requestId: '' };
    return await bind(updateBillingDetails, dependencies)(request, await admitted());
  };
  const events = async () => (await eventLog.read({ afterSequence: 0, limit: 100 })).events;
  return {
    db,
    eventLog,
    dependencies,
    subscriptions,
    sagas,
    project,
    permits,
    insert,
    change,
    join,
    updateDetails,
    events,
  };
}

function slotsOf(project: ProjectAnswers) {
  let last: { revision: number; result: TryResult; count: number } | undefined;
  return {
    getSlots: async () => {
      project.before('getSlots');
      return { limit: project.limit, count: project.count };
    },
    trySetLimit: async (request: TrySetLimitRequest) => {
      const { limit, revision } = request;
      project.before('trySetLimit');
      project.changes.push(request);
      if (last?.revision !== revision) {
        const { count } = project;
        const fits = limit === undefined || count <= limit;
        last = { revision, count, result: resultOf(project.mayAccess, fits) };
        if (last.result === TryResult.TRY_RESULT_ACCEPTED) project.limit = limit;
      }
      if (project.answersLost-- > 0) throw errors.dependencyUnavailable('project');
      return { outcome: { result: last.result, count: last.count, deletedCount: 0 } };
    },
  };
}

function resultOf(mayAccess: boolean, fits: boolean): TryResult {
  if (!mayAccess) return TryResult.TRY_RESULT_REFUSED_ACCESS;
  return fits ? TryResult.TRY_RESULT_ACCEPTED : TryResult.TRY_RESULT_REFUSED_COUNT;
}

const key = {
  ...{ keyId: 'key_1', accountId: 'acc_1', scopes: ['*'], organizationIds: [], projectIds: [] },
  ...{ expireTime: undefined, disabled: false },
};
export const keyHash = Buffer.alloc(32, 1);

function accessOf(project: ProjectAnswers): Access {
  const adminRequired = {
    reason: ErrorReason.ERROR_REASON_ADMIN_REQUIRED,
    detail: levelToJSON(Level.LEVEL_ADMIN),
  };
  const tokenInvalid = { reason: ErrorReason.ERROR_REASON_TOKEN_INVALID, detail: '' };
  const authorize = async ({ keyHash }: Question): Promise<Answer> => {
    if (project.deadKey?.equals(keyHash)) {
      return { allowed: false, refusal: tokenInvalid, key: undefined };
    }
    return project.mayAccess
      ? { allowed: true, facts: { key } }
      : { allowed: false, refusal: adminRequired, key };
  };
  return {
    recallToken: () => undefined,
    verifyToken: () => Promise.reject(new TypeError('billing verifies no tokens')),
    permitToken: () => Promise.reject(new TypeError('billing verifies no tokens')),
    authorize,
    permit: lastingPermit(authorize),
  };
}
