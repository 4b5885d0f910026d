import { hash, randomBytes } from 'node:crypto';
import { errors } from '@silo/errors/errors.ts';
import type { RateLimit } from '@silo/errors/rate-limit.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { forgetOldest } from '@silo/runtime/forget-oldest.ts';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { RateSettings } from './limits.ts';

const hourMs = 3_600_000;
/** Names are counted in this many slots by a salted hash, so callers cannot use more memory. */
const slotsMax = 65_536;
const knownKeysMax = 65_536;
/** Number of concurrent look-ups of unknown keys for one address. */
const lookUpsPerAddressMax = 2;
/** An address that exceeds its limit by this factor gets no response until its window ends. */
const floodFactor = 1.25;
const failureCost = 30;
const failureHoldMaxMs = 100;
/**
 * Waits are rounded up to a multiple of this, so that the refusals of a flood have few different
 * answers.
 */
const waitStepMs = 100;

/** Points per name, such as an address, in fixed windows and bounded memory. */
class Meter {
  readonly #limiter: RateLimiterMemory;
  readonly #salt = randomBytes(16).toString('base64');
  readonly #floodsUntilMs = new Map<string, number>();

  constructor(points: number, windowMs: number) {
    this.#limiter = new RateLimiterMemory({ points, duration: windowMs / 1_000 });
  }

  /** Takes points; returns the wait in ms until there are more, or 0 if there were enough. */
  async take(name: string, points = 1): Promise<number> {
    const slot = this.#slotOf(name);
    try {
      await this.#limiter.consume(slot, points);
      return 0;
    } catch (error) {
      if (!(error instanceof RateLimiterRes)) throw error;
      const { msBeforeNext, consumedPoints } = error;
      if (consumedPoints > this.#limiter.points * floodFactor) {
        this.#floodsUntilMs.set(slot, performance.now() + msBeforeNext);
      }
      return Math.max(1, msBeforeNext);
    }
  }

  /** Whether a name has requested far more than its limit within this window. */
  isFlooding(name: string): boolean {
    if (this.#floodsUntilMs.size === 0) return false;
    const slot = this.#slotOf(name);
    const untilMs = this.#floodsUntilMs.get(slot);
    if (untilMs === undefined) return false;
    if (performance.now() < untilMs) return true;
    this.#floodsUntilMs.delete(slot);
    return false;
  }

  #slotOf(name: string): string {
    const digest = hash('sha1', this.#salt + name, 'buffer');
    return String(digest.readUInt32BE(0) % slotsMax);
  }
}

/** The rate limits of a public port. Each method throws RATE_LIMITED above its limit. */
export class RateLimits {
  readonly #addresses: Meter;
  readonly #accounts: Meter;
  readonly #organizations: Meter;
  readonly #projects: Meter;
  readonly #signups: Meter;
  /** Hashes of recently accepted keys. */
  readonly #known = new Map<string, true>();
  readonly #lookUps = new Map<string, LookUps>();
  /**
   * How long an invalid key keeps its place among the look-ups of its address. With this time, the
   * points of an address last for half a window.
   */
  readonly #failureHoldMs: number;

  constructor(settings: RateSettings) {
    const { windowMs, addressPoints, accountCalls, organizationCalls } = settings;
    this.#addresses = new Meter(addressPoints, windowMs);
    this.#accounts = new Meter(accountCalls, windowMs);
    this.#organizations = new Meter(organizationCalls, windowMs);
    this.#projects = new Meter(settings.projectCaptures, windowMs);
    this.#signups = new Meter(settings.signupsPerHour, hourMs);
    const holdMs = ((windowMs / 2) * lookUpsPerAddressMax * failureCost) / addressPoints;
    this.#failureHoldMs = Math.min(failureHoldMaxMs, holdMs);
  }

  /** Whether the key was accepted recently. */
  isKnown(keyHash: Uint8Array): boolean {
    return this.#known.has(nameOf(keyHash));
  }

  /** Whether the address is so far above its limit that it gets no responses. */
  isFlooding(network: string): boolean {
    return this.#addresses.isFlooding(network);
  }

  /** Takes points for a call that is not authenticated. */
  async takeAddress(network: string, points: number): Promise<void> {
    refuseAfter(await this.#addresses.take(network, points), 'address');
  }

  async takeSignup(network: string): Promise<void> {
    refuseAfter(await this.#signups.take(network), 'sign_ups');
  }

  async takeAccount(accountId: string): Promise<void> {
    refuseAfter(await this.#accounts.take(accountId), 'account');
  }

  async takeOrganization(organizationId: string): Promise<void> {
    refuseAfter(await this.#organizations.take(organizationId), 'organization');
  }

  async takeProject(projectId: string): Promise<void> {
    refuseAfter(await this.#projects.take(projectId), 'project');
  }

  /** Records an accepted key. */
  accept(keyHash: Uint8Array): void {
    const name = nameOf(keyHash);
    // Deleted first, so that it becomes the newest entry.
    this.#known.delete(name);
    this.#known.set(name, true);
    forgetOldest(this.#known, knownKeysMax);
  }

  /**
   * Authenticates a call by `work`, which throws TOKEN_INVALID for an invalid key. A recently
   * accepted key is looked up at once; other keys wait for one of the look-ups of their address,
   * and are rejected once the address has failed too often. An invalid key keeps its place for up
   * to 100 ms, so that the look-ups of an attack are spread over time. A call without a key does
   * not wait.
   */
  async authenticate<T>(
    network: string,
    keyHash: Uint8Array | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return keyHash === undefined || this.isKnown(keyHash)
        ? await work()
        : await this.#inTurn(network, work);
    } catch (error) {
      if (!isTokenInvalid(error)) throw error;
      if (keyHash !== undefined) this.#known.delete(nameOf(keyHash));
      await this.#addresses.take(network, failureCost);
      throw error;
    }
  }

  /** Takes the points of an invalid key for a key whose validity could not be determined. */
  async noteUnconfirmed(network: string): Promise<void> {
    await this.#addresses.take(network, failureCost);
  }

  async #inTurn<T>(network: string, work: () => Promise<T>): Promise<T> {
    const lookUps = this.#lookUps.get(network) ?? new LookUps();
    this.#lookUps.set(network, lookUps);
    await lookUps.begin();
    const end = () => {
      if (lookUps.end() === 0) this.#lookUps.delete(network);
    };
    try {
      await this.takeAddress(network, 0);
      const result = await work();
      end();
      return result;
    } catch (error) {
      if (isTokenInvalid(error)) setTimeout(end, this.#failureHoldMs);
      // In a later turn, because thousands may wait that are all refused now.
      else setImmediate(end);
      throw error;
    }
  }
}

/** The queue of look-ups of one address, in order of arrival. */
class LookUps {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  async begin(): Promise<void> {
    if (this.#running < lookUpsPerAddressMax) this.#running++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Returns the number of running look-ups. */
  end(): number {
    const next = this.#waiting.shift();
    if (next !== undefined) next();
    else this.#running--;
    return this.#running;
  }
}

function refuseAfter(waitMs: number, limit: RateLimit): void {
  if (waitMs === 0) return;
  throw errors.rateLimited(limit, Math.ceil(waitMs / waitStepMs) * waitStepMs);
}

function isTokenInvalid(error: unknown): boolean {
  return error instanceof SiloError && error.reason === ErrorReason.ERROR_REASON_TOKEN_INVALID;
}

function nameOf(keyHash: Uint8Array): string {
  return Buffer.from(keyHash).toString('base64');
}
