import { errors } from '@silo/errors/errors.ts';
import { hearAcknowledgements } from '@silo/events/acknowledgements.ts';
import { IgnoredMessages, type Rejections } from '@silo/events/authentication.ts';
import type { NatsLink } from '@silo/events/connect.ts';
import { laterOf, type Positions } from '@silo/guard/core/position.ts';
import { readClocks } from '@silo/guard/read-clocks.ts';
import type {
  RegistryAction,
  RegistryCall,
  RegistryInput,
  RegistryReply,
  StoreOperation,
  StoreResult,
} from '@silo/guard/registry/messages.ts';
import { RegistryCore } from '@silo/guard/registry/registry-core.ts';
import type { RegistrySettings } from '@silo/guard/registry/settings.ts';
import type { Acquired, Renewal, Renewed } from '@silo/guard/registry.ts';
import { fromLogPositions, toPropagation } from '@silo/guard/wire.ts';
import type { Propagation } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import type {
  Acknowledgement,
  UsedKey,
} from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import { Alarm } from '@silo/runtime/alarm.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { OwnRegistry } from '@silo/service/kit.ts';
import type { MessageKeeper } from './message-keys.ts';
import type { LastUse } from './store/last-use.ts';
import type { LeaseStore } from './store/leases.ts';

const lookAgainMs = 20;

type Reply<Kind extends RegistryReply['kind']> = Extract<RegistryReply, { kind: Kind }>;

type Options = {
  store: LeaseStore;
  lastUse: LastUse;
  keys: MessageKeeper;
  nats: NatsLink;
  /** Of the events: acknowledgements are told apart by it. */
  subjectPrefix: string;
  settings: RegistrySettings;
  log: Log;
};

/**
 * One replica of the registry: connects its pure core to the store, to NATS and to the clocks. Any
 * number of them work side by side over one store.
 */
export function openRegistry(options: Options): OwnRegistry {
  return new RegistryShell(options);
}

class RegistryShell implements OwnRegistry {
  readonly #core: RegistryCore;
  readonly #store: LeaseStore;
  readonly #lastUse: LastUse;
  readonly #keys: MessageKeeper;
  readonly #ignored: IgnoredMessages;
  readonly #log: Log;
  readonly #hearing: Disposable;
  readonly #alarm = new Alarm(() => this.#step({ kind: 'tick' }));
  readonly #calls = new Map<number, (reply: RegistryReply) => void>();
  /** Acknowledgements of this turn, by lease: guards tell of many events at once. */
  readonly #heard = new Map<string, { guardName: string; positions: Positions }>();
  #lastCallId = 0;
  #isDisposed = false;

  constructor({ store, lastUse, keys, nats, subjectPrefix, settings, log }: Options) {
    this.#core = new RegistryCore(settings);
    this.#store = store;
    this.#lastUse = lastUse;
    this.#keys = keys;
    this.#ignored = new IgnoredMessages(log);
    this.#log = log;
    this.#hearing = hearAcknowledgements(nats, {
      subjectPrefix,
      onHeard: (acknowledgement) => this.#hear(acknowledgement),
      findSecret: (leaseId) => keys.secretOf(leaseId),
      onIgnored: (subject, reason) => this.#ignored.add(subject, reason),
      log,
    });
    this.#step({ kind: 'tick' });
  }

  async acquire(leaseId: string, guardName: string, signal: AbortSignal): Promise<Acquired> {
    const call = { kind: 'acquire', leaseId, guardName } as const;
    const { numbers } = await this.#ask(call, 'acquired', signal);
    return { numbers, keys: await this.#keys.keysOf(leaseId) };
  }

  async renew(renewal: Renewal, signal: AbortSignal): Promise<Renewed> {
    const { answer } = await this.#ask({ kind: 'renew', ...renewal }, 'renewed', signal);
    if (answer.result === 'lost') return { answer, keys: undefined };
    return { answer, keys: await this.#keys.keysOf(renewal.leaseId) };
  }

  async release(leaseId: string, signal: AbortSignal): Promise<void> {
    await this.#ask({ kind: 'release', leaseId }, 'released', signal);
  }

  async raiseRequirement(positions: Positions, signal: AbortSignal): Promise<void> {
    await this.#ask({ kind: 'require', positions }, 'required', signal);
  }

  async awaitBarrier(positions: Positions, signal: AbortSignal): Promise<Propagation> {
    const call = { kind: 'awaitBarrier', positions } as const;
    return toPropagation((await this.#ask(call, 'passed', signal)).report);
  }

  async reportKeyUse(keys: UsedKey[]): Promise<void> {
    for (const key of keys) this.#lastUse.note(key);
  }

  get ignored(): Rejections {
    return this.#ignored.counts;
  }

  async untilEmpty(withinMs: number): Promise<void> {
    const endMs = performance.now() + withinMs;
    try {
      while ((await this.#store.list()).length > 0 && performance.now() < endMs) {
        await systemSleep(lookAgainMs);
      }
    } catch (error) {
      this.#log.warn({ err: error }, 'whether guards still hold leases is not known');
    }
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#hearing[Symbol.dispose]();
    this.#alarm[Symbol.dispose]();
  }

  /** Resolves with the reply of that kind; the only other one is a failure. */
  #ask<Kind extends RegistryReply['kind']>(
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
        else if (call.kind === 'awaitBarrier') reject(errors.propagationUnconfirmed());
        else reject(errors.dependencyUnavailable('mongodb'));
      });
      this.#step({ kind: 'call', callId, call });
    });
  }

  #step(input: RegistryInput): void {
    if (this.#isDisposed) return;
    for (const action of this.#core.step(input, readClocks())) this.#perform(action);
    this.#alarm.setFor(this.#core.wakeMonotonicMs());
  }

  #perform(action: RegistryAction): void {
    if (action.kind === 'reply') {
      this.#calls.get(action.callId)?.(action.reply);
      this.#calls.delete(action.callId);
      return;
    }
    const { operationId, operation } = action;
    this.#execute(operation).then(
      (result) => this.#step({ kind: 'stored', operationId, result }),
      (error: unknown) => {
        this.#log.warn({ operation: operation.kind, err: error }, 'the registry’s store failed');
        this.#step({ kind: 'stored', operationId, result: { kind: 'failed' } });
      },
    );
  }

  async #execute(operation: StoreOperation): Promise<StoreResult> {
    const store = this.#store;
    switch (operation.kind) {
      case 'insertLease':
        await store.insert(operation.lease);
        return { kind: 'done' };
      case 'renewLease': {
        const { leaseId, acknowledged, leaseMs } = operation;
        return { kind: 'found', isFound: await store.renew(leaseId, acknowledged, leaseMs) };
      }
      case 'readRequirement':
        return { kind: 'requirement', required: await store.readRequirement() };
      case 'raiseRequirement':
        await store.raiseRequirement(operation.positions);
        return { kind: 'done' };
      case 'listLeases':
        return { kind: 'leases', leases: await store.list() };
      case 'deleteLease': {
        const { leaseId, version } = operation;
        return { kind: 'found', isFound: await store.delete(leaseId, version) };
      }
    }
  }

  #hear({ leaseId, guardName, positions }: Acknowledgement): void {
    if (this.#heard.size === 0) setImmediate(() => this.#tellHeard());
    const before = this.#heard.get(leaseId)?.positions ?? {};
    const later = laterOf(before, fromLogPositions(positions));
    this.#heard.set(leaseId, { guardName, positions: later });
  }

  #tellHeard(): void {
    const heard = [...this.#heard];
    this.#heard.clear();
    for (const [leaseId, told] of heard) this.#step({ kind: 'acknowledged', leaseId, ...told });
  }
}
