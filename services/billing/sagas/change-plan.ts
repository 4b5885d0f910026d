import { errors } from '@silo/errors/errors.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { forgetRequest } from '@silo/log/forget-request.ts';
import { ChangePlanResponse, type Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import {
  type TryOutcome,
  TryResult,
} from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import type { SagaDefinition, SagaRecord, Transition } from '@silo/saga/definition.ts';
import type { Peers } from '@silo/service/peers.ts';
import { planChanged } from '../events.ts';
import { toSubscription } from '../messages.ts';
import { describePlan } from '../rules/plan-catalogue.ts';
import type { SubscriptionStore } from '../store/subscriptions.ts';

type ChangePlanState = 'INTENDED' | 'ACCEPTED' | 'REFUSED' | 'DONE';

/** The reason why project did not set the limit. */
type ChangePlanRefusal = 'count' | 'access' | 'late';

export type ChangePlanData = {
  organizationId: string;
  plan: Plan;
  /** The intent's revision, assigned in the transaction that wrote the intent. */
  revision: number;
  accountId: string;
  keyHash: Buffer;
  /** Identifies the request's record, which a refusal removes. */
  requestKey?: Buffer | undefined;
  /** Number of the organization's projects when the conditional change was decided. */
  count?: number | undefined;
  refusal?: ChangePlanRefusal | undefined;
  /** The encoded ChangePlanResponse. */
  answer?: Buffer | undefined;
};

export type ChangePlanSaga = SagaDefinition<ChangePlanState, ChangePlanData>;

type Saga = SagaRecord<ChangePlanState, ChangePlanData>;
type Next = Transition<ChangePlanState, ChangePlanData>;

type Dependencies = {
  subscriptions: SubscriptionStore;
  slots: Pick<Peers['project']['slots'], 'trySetLimit'>;
  clock: Clock;
};

/** The lock that allows one open change of an organization's plan at a time. */
export function changePlanLock(organizationId: string): string {
  return `change-plan:${organizationId}`;
}

/**
 * The saga of ChangePlan: requests a conditional change of the limit at project, which has the
 * number of projects. When project has set the limit, sets the plan.
 */
export function createChangePlanSaga(dependencies: Dependencies): ChangePlanSaga {
  return {
    kind: 'change-plan',
    transitions: {
      INTENDED: ['ACCEPTED', 'REFUSED'],
      ACCEPTED: ['DONE'],
      REFUSED: [],
      DONE: [],
    },
    steps: {
      INTENDED: (saga, { signal }) => trySetLimit(dependencies, saga, signal),
      ACCEPTED: (saga, { signal }) => setPlan(dependencies, saga, signal),
    },
  };
}

async function trySetLimit(
  { slots }: Dependencies,
  { _id: correlationId, data }: Saga,
  signal: AbortSignal,
): Promise<Next> {
  const { organizationId, plan, revision, accountId, keyHash, requestKey } = data;
  const { projectLimit: limit, migrations } = describePlan(plan);
  const onBehalfOf = { accountId, keyHash, correlationId };
  const outcome = await outcomeOf(
    slots.trySetLimit({ organizationId, limit, migrations, revision, onBehalfOf }, { signal }),
  );
  const count = outcome?.count ?? 0;
  const refusal = refusalOf(outcome);
  if (refusal === undefined) return { next: 'ACCEPTED', data: { count } };
  return {
    next: 'REFUSED',
    data: { count, refusal },
    commit: async (tx) => {
      if (requestKey !== undefined) await forgetRequest(tx, requestKey);
    },
  };
}

/**
 * Returns the result of the conditional change; undefined if the organization and its slots are
 * deleted.
 */
async function outcomeOf(
  answer: Promise<{ outcome: TryOutcome | undefined }>,
): Promise<TryOutcome | undefined> {
  try {
    const { outcome } = await answer;
    if (outcome !== undefined) return outcome;
  } catch (error) {
    const isGone =
      error instanceof SiloError &&
      error.reason === ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND;
    if (isGone) return undefined;
    throw error;
  }
  throw errors.dependencyUnavailable('project');
}

function refusalOf(outcome: TryOutcome | undefined): ChangePlanRefusal | undefined {
  switch (outcome?.result) {
    case TryResult.TRY_RESULT_ACCEPTED:
      return undefined;
    case TryResult.TRY_RESULT_REFUSED_COUNT:
      return 'count';
    case TryResult.TRY_RESULT_REFUSED_LATE:
      return 'late';
    case TryResult.TRY_RESULT_REFUSED_ACCESS:
    case undefined:
      return 'access';
    default:
      throw errors.dependencyUnavailable('project'); // a result of a newer release
  }
}

/** Sets the plan, whose limit project has already set. Checks nothing again. */
async function setPlan(
  { subscriptions, clock }: Dependencies,
  { data, actor }: Saga,
  signal: AbortSignal,
): Promise<Next> {
  const { organizationId, plan, count } = data;
  const present = await subscriptions.find(organizationId, signal);
  if (present === undefined) throw new TypeError(`${organizationId} has lost its subscription`);
  const time = clock.now();
  const revision = present.revision + 1;
  const after = { ...present, plan, revision, updateTime: time };
  const limit = describePlan(plan).projectLimit;
  const response = { subscription: toSubscription(after, { limit, count }) };
  return {
    next: 'DONE',
    data: { answer: Buffer.from(ChangePlanResponse.encode(response).finish()) },
    commit: async (tx) => {
      const { emit } = tx;
      const isSaved = await subscriptions.save(tx, after, present.revision);
      // The subscription has changed since it was read. The step is retried.
      if (!isSaved) throw errors.dependencyUnavailable('the subscription, which is being changed');
      emit(planChanged(after, present.plan, { actor, time }));
    },
  };
}
