import { laterOf, type Positions, type Source } from '@silo/guard/core/position.ts';
import type { Position } from '@silo/log/position.ts';
import type {
  AcknowledgedMessage,
  RegistryAction,
  RegistryCall,
  RegistryInput,
  RegistryReply,
  StoredLease,
  StoreOperation,
  StoreResult,
} from '@silo/token-service/registry/messages.ts';
import { RegistryCore } from '@silo/token-service/registry/registry-core.ts';
import type { RegistrySettings } from '@silo/token-service/registry/settings.ts';
import type { Batch } from './hostile-broker.ts';
import { Machine } from './machine.ts';
import { registrySettings, shortLeases } from './numbers.ts';
import type { World } from './world.ts';

/** Operations of the database; the head is read at its source. */
type DatabaseOperation = Exclude<StoreOperation, { kind: 'readHead' }>;

/** The registry's database, shared by all replicas. Every operation takes effect at one instant. */
class RegistryStore {
  readonly #world: World;
  readonly #leases = new Map<string, StoredLease>();
  readonly #released = new Set<string>();
  readonly #requirements: { atMs: number; required: Positions }[] = [{ atMs: -1, required: {} }];
  #stale: { atMs: number; untilMs: number } | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  failOver(staleMs: number): void {
    const { nowMs } = this.#world.timeline;
    this.#world.trace(() => 'the registry fails over');
    this.#stale = { atMs: nowMs, untilMs: nowMs + staleMs };
  }

  heal(): void {
    this.#stale = undefined;
  }

  /**
   * `renewedMs` is the time of the last renewal that the replica knew of when it sent the
   * operation.
   */
  execute(operation: DatabaseOperation, renewedMs: number): StoreResult {
    switch (operation.kind) {
      case 'insertLease': {
        const { id, owner } = operation.lease;
        if (this.#released.has(id)) return { kind: 'found', isFound: false };
        if (!this.#leases.has(id)) this.#leases.set(id, operation.lease);
        return { kind: 'found', isFound: this.#leases.get(id)?.owner === owner };
      }
      case 'renewLease': {
        const lease = this.#leases.get(operation.leaseId);
        if (lease === undefined || !isOf(lease, operation.owner)) {
          return { kind: 'found', isFound: false };
        }
        const acknowledged = laterOf(lease.acknowledged, operation.acknowledged);
        const leaseMs = Math.max(lease.leaseMs, operation.leaseMs);
        this.#leases.set(lease.id, { ...lease, version: lease.version + 1, acknowledged, leaseMs });
        return { kind: 'found', isFound: true };
      }
      case 'readRequirement':
        return this.#readRequirement(renewedMs);
      case 'raiseRequirement': {
        const required = laterOf(this.#required(), operation.positions);
        this.#requirements.push({ atMs: this.#world.timeline.nowMs, required });
        return { kind: 'done' };
      }
      case 'listLeases':
        return { kind: 'leases', leases: [...this.#leases.values()] };
      case 'releaseLease': {
        const lease = this.#leases.get(operation.leaseId);
        if (lease === undefined || isOf(lease, operation.owner)) {
          this.#leases.delete(operation.leaseId);
          this.#released.add(operation.leaseId);
        }
        return { kind: 'done' };
      }
      case 'deleteLease': {
        const lease = this.#leases.get(operation.leaseId);
        const isMeant = operation.version === undefined || operation.version === lease?.version;
        if (lease !== undefined && isMeant) {
          this.#world.trace(() => `lease ${lease.id} is deleted`);
          this.#leases.delete(lease.id);
        }
        return { kind: 'done' };
      }
    }
  }

  #required(): Positions {
    return this.#requirements.at(-1)?.required ?? {};
  }

  /** A causal read: the state at any time since `renewedMs`, from any server that has it. */
  #readRequirement(renewedMs: number): StoreResult {
    const { timeline, random, protections, profile } = this.#world;
    const isCausal = protections['requirement-after-own-writes'];
    let latestMs = timeline.nowMs;
    const stale = this.#stale;
    if (stale !== undefined && timeline.nowMs < stale.untilMs && random.chance(0.7)) {
      if (isCausal && stale.atMs < renewedMs) return { kind: 'failed' };
      latestMs = stale.atMs;
    }
    const earliestMs = latestMs - random.between(0, profile.lagMsMax);
    const atMs = isCausal ? Math.max(renewedMs, earliestMs) : earliestMs;
    const then = this.#requirements.findLast((each) => each.atMs <= atMs);
    return { kind: 'requirement', required: then?.required ?? {} };
  }
}

function isOf(lease: StoredLease, owner: string | undefined): boolean {
  return owner === undefined || owner === lease.owner;
}

const headTimeoutMs = 100;

type Answer = (reply: RegistryReply | undefined) => void;

/** One replica of the registry: the real core, and a shell around it. */
export class Replica {
  readonly machine: Machine;
  readonly #world: World;
  readonly #store: RegistryStore;
  readonly #settings: RegistrySettings;
  #core: RegistryCore;
  #calls = new Map<number, Answer>();
  #lastCallId = 0;
  #tickAtMs = Number.POSITIVE_INFINITY;
  #cutUntilMs = 0;
  /** Time of the last renewal that this process knows of. */
  #renewedMs = 0;

  constructor(world: World, name: string, store: RegistryStore, settings: RegistrySettings) {
    this.#world = world;
    this.#store = store;
    this.#settings = settings;
    this.machine = new Machine(world, name);
    this.#core = new RegistryCore(settings, world.protections);
    this.#scheduleTick();
  }

  restart(): void {
    this.machine.restart();
    this.#core = new RegistryCore(this.#settings, this.#world.protections);
    this.#calls = new Map();
    this.#tickAtMs = Number.POSITIVE_INFINITY;
    this.#renewedMs = 0;
    this.#scheduleTick();
  }

  cutOffStore(durationMs: number): void {
    this.#world.trace(
      () => `${this.machine.name} cut off from its store ${Math.round(durationMs)}ms`,
    );
    this.#cutUntilMs = this.#world.timeline.nowMs + durationMs;
  }

  call(call: RegistryCall, answer: Answer): void {
    this.machine.run(() => {
      const callId = ++this.#lastCallId;
      this.#calls.set(callId, answer);
      this.step({ kind: 'call', callId, call });
    });
  }

  /** Handles an event batch from NATS: events that a source broadcasts are committed. */
  receiveBatch({ source, head }: Batch, isAuthentic: boolean): void {
    if (!isAuthentic && this.#world.protections['authentic-batches']) return;
    this.step({ kind: 'committed', positions: { [source]: head } });
  }

  receiveAcknowledgement(message: AcknowledgedMessage, isAuthentic: boolean): void {
    if (!isAuthentic && this.#world.protections['authentic-acknowledgements']) return;
    this.step({ kind: 'acknowledged', ...message });
  }

  step(input: RegistryInput): void {
    for (const action of this.#core.step(input, this.machine.read())) this.#perform(action);
    this.#scheduleTick();
  }

  #perform(action: RegistryAction): void {
    if (action.kind === 'reply') {
      this.#calls.get(action.callId)?.(action.reply);
      this.#calls.delete(action.callId);
      return;
    }
    if (action.kind === 'claimRejected') {
      this.#world.trace(() => `${this.machine.name} does not accept ${JSON.stringify(action)}`);
      return;
    }
    const { operationId, operation } = action;
    if (operation.kind === 'readHead') this.#readHead(operationId, operation.source);
    else this.#execute(operationId, operation);
  }

  #readHead(operationId: number, source: Source): void {
    const { network, sources } = this.#world;
    const serve = (answer: (head: Position) => void) => answer(sources[source].head());
    network.call<Position>(this.machine, 'sources', 'readHead', headTimeoutMs, serve, (head) => {
      const result: StoreResult = head === undefined ? { kind: 'failed' } : { kind: 'head', head };
      this.step({ kind: 'stored', operationId, result });
    });
  }

  #execute(operationId: number, operation: DatabaseOperation): void {
    const { timeline, network, random, profile } = this.#world;
    const { life } = this.machine;
    const renewedMs = this.#renewedMs;
    const reply = (result: StoreResult) => {
      this.machine.run(() => this.step({ kind: 'stored', operationId, result }), life);
    };
    if (timeline.nowMs < this.#cutUntilMs) {
      timeline.after(random.between(20, 100), () => reply({ kind: 'failed' }));
      return;
    }
    timeline.after(network.delayMs(operation.kind) / 2, () => {
      const doneMs = timeline.nowMs;
      const result = this.#store.execute(operation, renewedMs);
      this.#world.trace(() => {
        return `${this.machine.name} ${JSON.stringify(operation)} -> ${JSON.stringify(result)}`;
      });
      const isLost = network.isFaulty && random.chance(profile.rpcLoss / 4);
      timeline.after(network.delayMs(operation.kind) / 2, () => {
        if (!isLost && operation.kind === 'renewLease' && this.machine.life === life) {
          this.#renewedMs = Math.max(this.#renewedMs, doneMs);
        }
        reply(isLost ? { kind: 'failed' } : result);
      });
    });
  }

  #scheduleTick(): void {
    const inMs = this.#core.wakeMonotonicMs() - this.machine.read().monotonicMs;
    const atMs = this.#world.timeline.nowMs + Math.max(inMs, 0.1);
    if (atMs >= this.#tickAtMs - 0.01) return;
    this.#tickAtMs = atMs;
    this.machine.after(Math.max(inMs, 0.1), () => {
      if (this.#tickAtMs !== atMs) return;
      this.#tickAtMs = Number.POSITIVE_INFINITY;
      this.step({ kind: 'tick' });
    });
  }
}

/** Two replicas over one store. */
export class RegistryWorld {
  readonly store: RegistryStore;
  readonly replicas: readonly Replica[];
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    this.store = new RegistryStore(world);
    const other = world.profile.haveShortLeases ? shortLeases : registrySettings;
    this.replicas = [
      new Replica(world, 'registry-0', this.store, registrySettings),
      new Replica(world, 'registry-1', this.store, other),
    ];
  }

  /** A call to either replica. */
  call(
    from: Machine,
    call: RegistryCall,
    timeoutMs: number,
    done: (reply: RegistryReply | undefined) => void,
  ): void {
    const { random, network } = this.#world;
    const replica = random.pick(this.replicas);
    const serve = (answer: Answer) => replica.call(call, answer);
    network.call<RegistryReply>(from, 'registry', call.kind, timeoutMs, serve, done);
  }
}
