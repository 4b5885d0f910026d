import type {
  Access,
  Answer,
  PermitAnswer,
  Question,
  TokenAnswer,
  TokenPermitAnswer,
} from '@silo/access/access.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { Alarm } from '@silo/runtime/alarm.ts';
import { race } from '@silo/runtime/deadline.ts';
import type { Log } from '@silo/runtime/log.ts';
import { isWellFormed, secretPrefixes } from '@silo/tokens/secrets.ts';
import { ulid } from 'ulid';
import type { BroadcastKeys } from './broadcast-keys.ts';
import type { FactRef } from './core/facts.ts';
import { GuardCore } from './core/guard-core.ts';
import { type AccessCheck, accessCheck, tokenCheck } from './core/lookup.ts';
import { tokenRefused } from './core/memory.ts';
import type { GuardAction, GuardInput } from './core/messages.ts';
import type { Permit } from './core/permits.ts';
import { sources } from './core/position.ts';
import type { Protections } from './core/protections.ts';
import { fetchFact } from './fetch-fact.ts';
import { GuardMessages } from './guard-messages.ts';
import type { GuardStatus, Revoked } from './guard-status.ts';
import { KeyUse } from './key-use.ts';
import type { GuardLinks } from './links.ts';
import { readBatch } from './logs.ts';
import { noteEnded } from './note-ended.ts';
import { permitHandle } from './permit-handle.ts';
import { readClocks } from './read-clocks.ts';
import { takenIfRefused } from './registry-client.ts';
import { unavailable } from './unavailable.ts';

/** Maximum numbers of remembered facts and of concurrent fact fetches. */
export type GuardSizes = { factsMax: number; unknownMax: number; fetchesMax: number };

const sizesDefault: GuardSizes = { factsMax: 100_000, unknownMax: 10_000, fetchesMax: 1_000 };
/** The maximum time of a call. A barrier waits for a permit at most as long as a lease lasts. */
const permitMs = 30_000;
const requestMs = 750;
const retryMs = 200;
const fetchMs = 3_000;
const readMs = 3_000;
/** How long to wait for an answer if the caller sets no limit. */
const waitMs = 3_000;
/** How long a mutation waits for a read lease; a guard that starts usually has one sooner. */
const readLeaseWithinMs = 1_000;
/** How long a guard that ends waits for the release of its lease, which otherwise expires. */
const drainWithinMs = 3_000;

type Outcome = { answer: TokenAnswer | Answer; permit: Permit | undefined };
type Waiting = { resolve(outcome: Outcome): void; reject(error: unknown): void };

/**
 * The guard of a process. Connects the pure core to gRPC, NATS and both clocks, which are read in
 * the same turn in which a lookup, permit or fact fetch uses them. Disposing waits for the permits
 * and then releases the lease.
 */
export class Guard implements Access, AsyncDisposable {
  readonly #links: GuardLinks;
  readonly #log: Log;
  readonly #core: GuardCore;
  readonly #messages: GuardMessages;
  readonly #keyUse: KeyUse;
  readonly #alarm = new Alarm(() => this.#step({ kind: 'tick' }));
  readonly #stop = new AbortController();
  readonly #waiting = new Map<number, Waiting>();
  readonly #waitingForReadLease = new Set<() => void>();
  readonly #revoked = new Set<(revoked: Revoked) => void>();
  readonly #answers = { memory: 0, owners: 0, failed: 0 };
  readonly #fetched = { started: 0, failed: 0 };
  readonly #drained = Promise.withResolvers<void>();
  readonly #failing = new Set<string>();
  readonly #actions: GuardAction[] = [];
  #isPerforming = false;
  #hadReadLease = false;
  #isDraining = false;
  #isReleasing = false;
  #lastLookupId = 0;
  /** The reason of a fact fetch that failed in this turn. */
  #fetchFailure: unknown;

  /** Starts at once, and has its first read lease as soon as everything that it needs is up. */
  constructor(options: {
    name: string;
    links: GuardLinks;
    sizes?: Partial<GuardSizes>;
    log: Log;
    /** All of them, except in control runs. */
    protections?: Protections;
  }) {
    const { name, links, sizes, log, protections } = options;
    this.#links = links;
    this.#log = log;
    const settings = {
      ...{ ...sizesDefault, ...sizes, guardName: name, permitMs, requestMs },
      // Random, so that guards that lost the registry together do not return together.
      retryMs: retryMs * (1 + Math.random()),
      newLeaseId: () => ulid().toLowerCase(),
    };
    this.#core = new GuardCore(settings, protections);
    this.#keyUse = new KeyUse((keys) => links.leases.reportKeyUse(keys, this.#within(fetchMs)));
    this.#messages = new GuardMessages(links, log, (input) => this.#step(input));
    this.#step({ kind: 'start' });
  }

  /** The broadcast keys that came with the lease; sources sign their event batches with them. */
  get broadcastKeys(): BroadcastKeys {
    return this.#messages.broadcastKeys;
  }

  recallToken(token: string): TokenAnswer | undefined {
    const known = this.#core.verifyToken(token, readClocks());
    if (known === undefined) {
      return isWellFormed(token, secretPrefixes.projectToken) ? undefined : tokenRefused;
    }
    this.#answers.memory++;
    return known;
  }

  verifyToken(token: string, signal?: AbortSignal): TokenAnswer | Promise<TokenAnswer> {
    const known = this.recallToken(token);
    if (known !== undefined) return known;
    const found = this.#lookup(tokenCheck(token), false, signal);
    return found.then(({ answer }) => answer as TokenAnswer);
  }

  authorize(question: Question, signal?: AbortSignal): Answer | Promise<Answer> {
    const check = accessCheck(question);
    const known = this.#core.recall(check, readClocks()) as Answer | undefined;
    if (known === undefined) return this.#authorizeByOwners(check, signal);
    this.#answers.memory++;
    this.#noteUse(known);
    return known;
  }

  async #authorizeByOwners(check: AccessCheck, signal: AbortSignal | undefined): Promise<Answer> {
    const answer = (await this.#lookup(check, false, signal)).answer as Answer;
    this.#noteUse(answer);
    return answer;
  }

  async permit(question: Question, signal?: AbortSignal): Promise<PermitAnswer> {
    const { answer, permit } = await this.#lookupWithPermit<Answer>(accessCheck(question), signal);
    this.#noteUse(answer);
    return answer.allowed ? { ...answer, permit } : answer;
  }

  async permitToken(token: string, signal?: AbortSignal): Promise<TokenPermitAnswer> {
    const known = this.recallToken(token);
    if (known?.allowed === false) return known;
    const { answer, permit } = await this.#lookupWithPermit<TokenAnswer>(tokenCheck(token), signal);
    return answer.allowed ? { ...answer, permit } : answer;
  }

  async #lookupWithPermit<T>(check: AccessCheck, signal = AbortSignal.timeout(waitMs)) {
    if (!this.#core.hasReadLease(readClocks())) await this.#untilReadLease(signal);
    const { answer, permit } = await this.#lookup(check, true, signal);
    const step = (input: GuardInput) => this.#step(input);
    return { answer: answer as T, permit: permitHandle(this.#core, permit, step) };
  }

  /**
   * Calls back with facts that ended. At the end of a read lease it calls back with everything,
   * because revocations are then unknown.
   */
  onRevoked(callback: (revoked: Revoked) => void): Disposable {
    this.#revoked.add(callback);
    return { [Symbol.dispose]: () => void this.#revoked.delete(callback) };
  }

  status(): GuardStatus {
    const { facts, fetches, permits } = this.#core.sizes();
    return {
      hasReadLease: this.#core.hasReadLease(readClocks()),
      isSubscribed: this.#links.nats.connected.value,
      positions: this.#core.positions(),
      ...{ facts, fetches, permits },
      answers: { ...this.#answers },
      fetched: { ...this.#fetched },
      ignored: this.#messages.ignored,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDraining) return await this.#drained.promise;
    this.#isDraining = true;
    this.#step({ kind: 'drain' });
    const within = AbortSignal.timeout(drainWithinMs);
    await race(Promise.all([this.#drained.promise, this.#keyUse.flush()]), within).catch((error) =>
      this.#log.warn({ err: error }, 'guard lease was not released; it expires by itself'),
    );
    this.#drained.resolve();
    this.#messages[Symbol.dispose]();
    this.#keyUse[Symbol.dispose]();
    this.#stop.abort(new DOMException('the guard stops', 'AbortError'));
    this.#alarm[Symbol.dispose]();
  }

  /** Created only if memory has no answer: a deadline costs more than an answer from memory. */
  #lookup(
    check: AccessCheck,
    wantsPermit: boolean,
    signal: AbortSignal = AbortSignal.timeout(waitMs),
  ): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const lookupId = ++this.#lastLookupId;
      const onAbort = () => {
        this.#waiting.delete(lookupId);
        this.#step({ kind: 'cancelLookup', lookupId });
        reject(signal.reason);
      };
      const over = () => signal.removeEventListener('abort', onAbort);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.set(lookupId, {
        resolve: (outcome) => {
          over();
          resolve(outcome);
        },
        reject: (error) => {
          over();
          reject(error);
        },
      });
      this.#step({ kind: 'lookup', lookupId, check, wantsPermit });
    });
  }

  /** Resolves when there is a read lease, or after the time limit. */
  async #untilReadLease(signal: AbortSignal): Promise<void> {
    if (this.#isDraining) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waitingForReadLease.add(resolve);
    const timer = setTimeout(resolve, readLeaseWithinMs);
    try {
      await race(promise, signal);
    } finally {
      clearTimeout(timer);
      this.#waitingForReadLease.delete(resolve);
    }
  }

  #noteUse(answer: Answer): void {
    const key = answer.allowed ? answer.facts.key : answer.key;
    if (key !== undefined) this.#keyUse.note(key, performance.now());
  }

  #step(input: GuardInput): void {
    if (this.#stop.signal.aborted) return;
    this.#actions.push(...this.#core.step(input, readClocks()));
    // A callback may call this during another step, whose actions must be performed first.
    if (this.#isPerforming) return;
    this.#isPerforming = true;
    try {
      for (let next = this.#actions.shift(); next !== undefined; next = this.#actions.shift()) {
        this.#perform(next);
      }
    } finally {
      this.#isPerforming = false;
    }
    this.#settle();
  }

  /** Performs what the state of the core requires after a step. */
  #settle(): void {
    const now = readClocks();
    const hasReadLease = this.#core.hasReadLease(now);
    if (hasReadLease) for (const resolve of this.#waitingForReadLease) resolve();
    if (this.#hadReadLease && !hasReadLease) {
      for (const source of sources) this.#notifyRevoked({ source, facts: 'everything' });
    }
    this.#hadReadLease = hasReadLease;
    if (this.#isDraining && !this.#isReleasing && this.#core.sizes().permits === 0) {
      this.#drained.resolve();
    }
    const endsMs = hasReadLease ? this.#core.readLeaseEndsMonotonicMs() : Number.POSITIVE_INFINITY;
    this.#alarm.setFor(Math.min(this.#core.wakeMonotonicMs(), endsMs));
  }

  #perform(action: GuardAction): void {
    const { leases, logs } = this.#links;
    switch (action.kind) {
      case 'acquire': {
        const { requestId, leaseId, guardName } = action;
        const sent = readClocks();
        const acquiring = leases.acquire(leaseId, guardName, this.#stop.signal);
        this.#pass('acquire', acquiring.catch(takenIfRefused), (reply) => {
          if (reply !== 'taken') this.#messages.useKeys(leaseId, reply?.keys, sent);
          this.#step({ kind: 'acquired', requestId, reply });
        });
        break;
      }
      case 'renew': {
        const { requestId, ...renewal } = action;
        const sent = readClocks();
        const renewing = leases.renew(renewal, this.#stop.signal);
        this.#pass('renew', renewing, (reply) => {
          this.#messages.useKeys(renewal.leaseId, reply?.keys, sent);
          this.#step({ kind: 'renewed', requestId, reply: reply?.answer });
        });
        break;
      }
      case 'release':
        this.#release(action.leaseId);
        break;
      case 'acknowledge':
        this.#messages.acknowledge(action);
        break;
      case 'readEvents': {
        const { requestId, source, afterSequence } = action;
        const reading = readBatch(source, logs[source], afterSequence, this.#within(readMs));
        this.#pass(`read ${source}`, reading, (page) =>
          this.#step({ kind: 'read', requestId, source, page }),
        );
        break;
      }
      case 'fetchFact':
        this.#fetchFact(action.fetchId, action.ref);
        break;
      case 'ended':
        this.#notifyRevoked({ source: action.source, facts: action.ends });
        noteEnded(action);
        break;
      case 'answer':
        this.#answer(action);
        break;
      case 'unavailable':
        this.#fail(action);
        break;
    }
  }

  #answer({ lookupId, answer, permit }: Extract<GuardAction, { kind: 'answer' }>): void {
    this.#answers.owners++;
    this.#waiting.get(lookupId)?.resolve({ answer, permit });
    this.#waiting.delete(lookupId);
  }

  #fail({ lookupId, why }: Extract<GuardAction, { kind: 'unavailable' }>): void {
    this.#answers.failed++;
    const failure = this.#fetchFailure;
    this.#waiting.get(lookupId)?.reject(failure instanceof SiloError ? failure : unavailable(why));
    this.#waiting.delete(lookupId);
  }

  #fetchFact(fetchId: number, ref: FactRef): void {
    this.#fetched.started++;
    fetchFact(this.#links.factReader, ref, this.#within(fetchMs)).then(
      (value) => this.#step({ kind: 'factFetched', fetchId, reply: { value } }),
      (error: unknown) => {
        this.#fetched.failed++;
        this.#fetchFailure = error;
        this.#step({ kind: 'factFetched', fetchId, reply: undefined });
        this.#fetchFailure = undefined;
      },
    );
  }

  /** Sent even if Acquire was not answered: a released lease can no longer be acquired. */
  #release(leaseId: string): void {
    this.#isReleasing = true;
    const releasing = this.#links.leases.release(leaseId, this.#stop.signal);
    this.#pass('release', releasing, () => this.#drained.resolve());
  }

  #notifyRevoked(revoked: Revoked): void {
    for (const callback of this.#revoked) {
      try {
        callback(revoked);
      } catch (error) {
        this.#log.error({ err: error }, 'revocation callback failed');
      }
    }
  }

  /** Passes a result to the core, undefined after a failure; logs the first failure of a series. */
  #pass<T>(what: string, request: Promise<T>, pass: (reply: T | undefined) => void): void {
    request.then(
      (reply) => {
        if (this.#failing.delete(what)) this.#log.info({ what }, 'guard request recovered');
        pass(reply);
      },
      (error: unknown) => {
        if (!this.#failing.has(what) && !this.#stop.signal.aborted) {
          this.#failing.add(what);
          this.#log.warn({ what, err: error }, 'guard request failed');
        }
        pass(undefined);
      },
    );
  }

  #within(durationMs: number): AbortSignal {
    return AbortSignal.any([this.#stop.signal, AbortSignal.timeout(durationMs)]);
  }
}
