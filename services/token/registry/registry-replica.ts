import { errors } from '@silo/errors/errors.ts';
import { subscribeAcknowledgements } from '@silo/events/acknowledgements.ts';
import {
  IgnoredMessages,
  type RejectionReason,
  type Rejections,
} from '@silo/events/authentication.ts';
import { subscribeBroadcasts } from '@silo/events/broadcast.ts';
import type { NatsLink } from '@silo/events/connect.ts';
import { laterOf, type Positions, type Source, sources } from '@silo/guard/core/position.ts';
import type { GuardLinks } from '@silo/guard/links.ts';
import { readClocks } from '@silo/guard/read-clocks.ts';
import type { Acquired, LeaseClient, Renewal, Renewed } from '@silo/guard/registry-client.ts';
import { fromLogPositions, toDuration, toLogPositions } from '@silo/guard/wire.ts';
import type { Position } from '@silo/log/position.ts';
import type { Propagation } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import type { Acknowledgement } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import { Alarm } from '@silo/runtime/alarm.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { coalesce } from '@silo/runtime/coalesce.ts';
import { race } from '@silo/runtime/deadline.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { LocalRegistry } from '@silo/service/service-definition.ts';
import type { LastUse } from '../store/last-use.ts';
import type { LeaseStore } from '../store/leases.ts';
import type { MessageKeeper } from './message-keys.ts';
import type {
  AcknowledgedMessage,
  BarrierReport,
  RegistryAction,
  RegistryCall,
  RegistryInput,
  RegistryReply,
  StoreOperation,
  StoreResult,
} from './messages.ts';
import { RegistryCore } from './registry-core.ts';
import type { RegistrySettings } from './settings.ts';

const lookAgainMs = 20;
/**
 * Deadline for reading the head of a source's log. A source that misses it is queried at the next
 * renewal.
 */
const headWithinMs = 500;

type Reply<Kind extends RegistryReply['kind']> = Extract<RegistryReply, { kind: Kind }>;

type Options = {
  store: LeaseStore;
  lastUse: LastUse;
  keys: MessageKeeper;
  nats: NatsLink;
  /** The sources' logs, for the committed positions. */
  logs: GuardLinks['logs'];
  /** The prefix of the events' subjects, which selects the acknowledgements. */
  subjectPrefix: string;
  settings: RegistrySettings;
  log: Log;
};

/**
 * One replica of the registry: connects its pure core to the store, to NATS and to the clocks. Any
 * number of replicas work concurrently over one store.
 */
export function openRegistry(options: Options): LocalRegistry {
  return new RegistryReplica(options);
}

class RegistryReplica implements LocalRegistry {
  readonly #core: RegistryCore;
  readonly #store: LeaseStore;
  readonly #lastUse: LastUse;
  readonly #keys: MessageKeeper;
  readonly #ignored: IgnoredMessages;
  readonly #log: Log;
  readonly #subscriptions = new DisposableStack();
  readonly #readHead: Record<Source, () => Promise<Position>>;
  readonly #alarm = new Alarm(() => this.#step({ kind: 'tick' }));
  readonly #calls = new Map<number, (reply: RegistryReply) => void>();
  /**
   * Acknowledgements that arrived in this turn, by lease. Guards acknowledge many events at once.
   */
  readonly #received = new Map<string, AcknowledgedMessage>();
  #lastCallId = 0;
  #isDisposed = false;

  constructor({ store, lastUse, keys, nats, logs, subjectPrefix, settings, log }: Options) {
    this.#core = new RegistryCore(settings);
    this.#store = store;
    this.#lastUse = lastUse;
    this.#keys = keys;
    this.#ignored = new IgnoredMessages(log);
    this.#log = log;
    const reader = (source: Source) => {
      const read = coalesce(() => logs[source].head(AbortSignal.timeout(headWithinMs)));
      return () => read(undefined);
    };
    this.#readHead = {
      org: reader('org'),
      project: reader('project'),
      token: reader('token'),
    };
    const onIgnored = (subject: string, reason: RejectionReason) => {
      this.#ignored.add(subject, reason);
    };
    this.#subscriptions.use(
      subscribeAcknowledgements(nats, {
        ...{ subjectPrefix, onIgnored, log },
        onAcknowledgement: (acknowledgement) => this.#add(acknowledgement),
        findSecret: (leaseId) => keys.secretOf(leaseId),
      }),
    );
    // Sources broadcast committed events only, so these positions are known without a call to the
    // sources.
    this.#subscriptions.use(
      subscribeBroadcasts(nats, {
        ...{ subjectPrefix, services: sources, onIgnored, log },
        onBatch: (source, { head: { incarnation, sequence } }) => {
          this.#step({ kind: 'committed', positions: { [source]: { incarnation, sequence } } });
        },
        findSecret: (keyId) => keys.broadcastSecret(keyId),
        onMalformed: () => {},
        onLive: () => {},
      }),
    );
    this.#step({ kind: 'tick' });
  }

  for(owner: string): LeaseClient {
    return {
      acquire: (leaseId, guardName, signal) => this.#acquire(owner, leaseId, guardName, signal),
      renew: (renewal, signal) => this.#renew(owner, renewal, signal),
      release: async (leaseId, signal) => {
        await this.#call({ kind: 'release', leaseId, owner }, 'released', signal);
      },
      reportKeyUse: async (keys) => {
        this.#lastUse.note(keys);
      },
    };
  }

  async #acquire(
    owner: string,
    leaseId: string,
    guardName: string,
    signal: AbortSignal,
  ): Promise<Acquired> {
    const call = { kind: 'acquire', leaseId, owner, guardName } as const;
    const { numbers } = await this.#call(call, 'acquired', signal);
    return { numbers, keys: await this.#keys.keysOf(leaseId) };
  }

  async #renew(owner: string, renewal: Renewal, signal: AbortSignal): Promise<Renewed> {
    const { answer } = await this.#call({ kind: 'renew', owner, ...renewal }, 'renewed', signal);
    if (answer.result === 'lost') return { answer, keys: undefined };
    return { answer, keys: await this.#keys.keysOf(renewal.leaseId) };
  }

  async raiseRequirement(positions: Positions, signal: AbortSignal): Promise<void> {
    await this.#call({ kind: 'require', positions }, 'required', signal);
  }

  async awaitBarrier(positions: Positions, signal: AbortSignal): Promise<Propagation> {
    const call = { kind: 'awaitBarrier', positions } as const;
    return toPropagation((await this.#call(call, 'passed', signal)).report);
  }

  get ignored(): Rejections {
    return this.#ignored.counts;
  }

  async untilEmpty(withinMs: number): Promise<void> {
    const until = AbortSignal.timeout(withinMs);
    try {
      while (!until.aborted && (await race(this.#store.list(), until)).length > 0) {
        await systemSleep(lookAgainMs);
      }
    } catch (error) {
      this.#log.warn({ err: error }, 'could not list guard leases');
    }
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#subscriptions.dispose();
    this.#alarm[Symbol.dispose]();
  }

  /** Resolves with the reply of this kind. The only other possible reply is a failure. */
  #call<Kind extends RegistryReply['kind']>(
    call: RegistryCall,
    kind: Kind,
    signal: AbortSignal,
  ): Promise<Reply<Kind>> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const callId = ++this.#lastCallId;
      const onAbort = () => {
        this.#calls.delete(callId);
        reject(signal.reason);
        this.#step({ kind: 'abandon', callId });
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#calls.set(callId, (reply) => {
        signal.removeEventListener('abort', onAbort);
        if (reply.kind === kind) resolve(reply as Reply<Kind>);
        else if (reply.kind === 'taken') reject(leaseTaken());
        else if (call.kind === 'awaitBarrier') reject(errors.propagationUnconfirmed());
        else reject(errors.dependencyUnavailable('mongodb'));
      });
      this.#step({ kind: 'call', callId, call });
    });
  }

  #step(...inputs: RegistryInput[]): void {
    if (this.#isDisposed) return;
    for (const input of inputs) {
      for (const action of this.#core.step(input, readClocks())) this.#perform(action);
    }
    // The next wake-up depends on every lease, so it is computed once for all acknowledgements of a
    // turn.
    this.#alarm.setFor(this.#core.wakeMonotonicMs());
  }

  #perform(action: RegistryAction): void {
    if (action.kind === 'reply') {
      this.#calls.get(action.callId)?.(action.reply);
      this.#calls.delete(action.callId);
      return;
    }
    if (action.kind === 'claimRejected') {
      this.#ignored.add(`lease ${action.leaseId}`, action.why);
      return;
    }
    const { operationId, operation } = action;
    this.#execute(operation).then(
      (result) => this.#step({ kind: 'stored', operationId, result }),
      (error: unknown) => {
        this.#log.warn(
          { operation: operation.kind, err: error },
          'registry store operation failed',
        );
        this.#step({ kind: 'stored', operationId, result: { kind: 'failed' } });
      },
    );
  }

  async #execute(operation: StoreOperation): Promise<StoreResult> {
    const store = this.#store;
    switch (operation.kind) {
      case 'insertLease':
        return { kind: 'found', isFound: await store.insert(operation.lease) };
      case 'renewLease': {
        const { leaseId, owner, acknowledged, leaseMs } = operation;
        const isFound = await store.renew(leaseId, owner, acknowledged, leaseMs);
        return { kind: 'found', isFound };
      }
      case 'readRequirement':
        return { kind: 'requirement', required: await store.readRequirement() };
      case 'raiseRequirement':
        await store.raiseRequirement(operation.positions);
        return { kind: 'done' };
      case 'listLeases':
        return { kind: 'leases', leases: await store.list() };
      case 'releaseLease':
        await store.release(operation.leaseId, operation.owner);
        return { kind: 'done' };
      case 'deleteLease':
        await store.delete(operation.leaseId, operation.version);
        return { kind: 'done' };
      case 'readHead':
        return { kind: 'head', head: await this.#readHead[operation.source]() };
    }
  }

  #add({ leaseId, guardName, positions, applied }: Acknowledgement): void {
    if (this.#received.size === 0) setImmediate(() => this.#flushReceived());
    const before = this.#received.get(leaseId);
    this.#received.set(leaseId, {
      ...{ leaseId, guardName },
      positions: laterOf(before?.positions ?? {}, fromLogPositions(positions)),
      applied: laterOf(before?.applied ?? {}, fromLogPositions(applied)),
    });
  }

  #flushReceived(): void {
    const received = [...this.#received.values()];
    this.#received.clear();
    this.#step(...received.map((message) => ({ kind: 'acknowledged', ...message }) as const));
  }
}

function leaseTaken(): Error {
  const description = 'is released or belongs to another certificate: choose a new ULID';
  return errors.invalidField([{ field: 'lease_id', description }]);
}

/** The result of a barrier, as returned by the RPC that ends access. */
function toPropagation(report: BarrierReport): Propagation {
  const { guards, acknowledged, expired, elapsedMs } = report;
  const positions = toLogPositions(report.positions);
  return { positions, guards, acknowledged, expired, elapsed: toDuration(elapsedMs) };
}
