import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { errors } from '@silo/errors/errors.ts';
import { toDuration } from '@silo/guard/wire.ts';
import type { MessageKeys } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import { type Clock, systemClock } from '@silo/runtime/clock.ts';
import { coalesce } from '@silo/runtime/coalesce.ts';
import { forgetOldest } from '@silo/runtime/forget-oldest.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { MessageKeyStore, StoredBroadcastKey } from '../store/message-keys.ts';

/** Limit of the cached secrets. */
const secretsMax = 10_000;

/** The times at which broadcast keys are created and used. */
export type RotationSettings = {
  /** Age of the newest key at which a replica creates the next one. */
  rotateMs: number;
  /**
   * Time for which a key is only distributed before anybody signs with it. By then every guard has
   * renewed its lease and has the key.
   */
  signAfterMs: number;
  /** Interval at which a replica reads the keys that other replicas have created. */
  refreshMs: number;
};

const rotationDefault: RotationSettings = {
  rotateMs: 60 * 60_000,
  signAfterMs: 60_000,
  refreshMs: 10_000,
};

type Loaded = { root: KeyObject; keys: readonly StoredBroadcastKey[]; atMs: number };

/**
 * Distributes the keys of NATS messages, as one replica of the registry. The database measures the
 * ages of keys, so the clocks of two services are never compared.
 */
export class MessageKeeper {
  readonly #store: MessageKeyStore;
  readonly #rotation: RotationSettings;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Cached secrets of leases: every acknowledgement requires one. Their root never changes. */
  readonly #secrets = new Map<string, KeyObject>();
  #loaded: Loaded | undefined;

  constructor(options: {
    store: MessageKeyStore;
    log: Log;
    rotation?: RotationSettings;
    clock?: Clock;
  }) {
    this.#store = options.store;
    this.#log = options.log;
    this.#rotation = options.rotation ?? rotationDefault;
    this.#clock = options.clock ?? systemClock;
    this.#refresh();
  }

  /**
   * Returns the keys for the holder of a lease. Rejects with DEPENDENCY_UNAVAILABLE if they are
   * unknown.
   */
  async keysOf(leaseId: string): Promise<MessageKeys> {
    const loaded = await this.#current();
    const usable = this.#usable(loaded);
    const { signAfterMs } = this.#rotation;
    // If there is no older key, nobody can have another key to sign with.
    const signing = usable.find(({ ageMs }) => ageMs >= signAfterMs) ?? usable.at(-1);
    return {
      acknowledgementSecret: derive(loaded.root, leaseId),
      broadcastKeys: usable.map(({ id, secret, ageMs }) => {
        const validFor = toDuration(this.#lifeMs - ageMs);
        return { id, secret, validFor, isSigning: id === signing?.id };
      }),
    };
  }

  /**
   * Returns the secret of a lease's acknowledgements; undefined until the store has responded once.
   */
  secretOf(leaseId: string): KeyObject | undefined {
    if (this.#loaded === undefined) return undefined;
    const known = this.#secrets.get(leaseId);
    if (known !== undefined) return known;
    const secret = createSecretKey(derive(this.#loaded.root, leaseId));
    this.#secrets.set(leaseId, secret);
    forgetOldest(this.#secrets, secretsMax);
    return secret;
  }

  /**
   * Returns the secret of a broadcast key, with which the registry itself verifies event batches.
   */
  broadcastSecret(keyId: string): KeyObject | undefined {
    if (this.#loaded === undefined) return undefined;
    const key = this.#usable(this.#loaded).find(({ id }) => id === keyId);
    return key && createSecretKey(key.secret);
  }

  get #lifeMs(): number {
    const { rotateMs, signAfterMs } = this.#rotation;
    return 2 * (rotateMs + signAfterMs);
  }

  /** Returns the keys that have not expired, newest first, with their present age. */
  #usable({ keys, atMs }: Loaded): StoredBroadcastKey[] {
    const sinceMs = this.#clock.monotonicMs() - atMs;
    return keys
      .map((key) => ({ ...key, ageMs: key.ageMs + sinceMs }))
      .filter(({ ageMs }) => ageMs < this.#lifeMs);
  }

  /**
   * Returns the loaded keys at once, and reads them again in the background after `refreshMs`. Keys
   * that are outdated by then are still valid for hours.
   */
  async #current(): Promise<Loaded> {
    const loaded = this.#loaded;
    if (loaded === undefined) return await this.#load(undefined);
    if (this.#clock.monotonicMs() - loaded.atMs >= this.#rotation.refreshMs) this.#refresh();
    return loaded;
  }

  #refresh(): void {
    this.#load(undefined).catch((error) => {
      this.#log.warn({ err: error }, 'the keys of NATS messages could not be read');
    });
  }

  readonly #load = coalesce(async (): Promise<Loaded> => {
    const loaded = this.#loaded;
    const root = loaded?.root ?? createSecretKey(await this.#store.leaseRoot());
    const atMs = this.#clock.monotonicMs();
    let keys = await this.#store.list();
    const [newest] = keys;
    if (newest === undefined || newest.ageMs >= this.#rotation.rotateMs) {
      await this.#store.create((newest?.number ?? 0) + 1);
      keys = await this.#store.list();
    }
    if (keys.length === 0) throw errors.dependencyUnavailable('mongodb');
    this.#loaded = { root, keys, atMs };
    return this.#loaded;
  });
}

function derive(root: KeyObject, leaseId: string): Buffer {
  return createHmac('sha256', root).update(`lease ${leaseId}`).digest();
}
