import { errors } from '@silo/errors/errors.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { coalesce } from '@silo/runtime/coalesce.ts';
import { race } from '@silo/runtime/deadline.ts';
import { forgetOldest } from '@silo/runtime/forget-oldest.ts';
import { limit } from '@silo/runtime/limit.ts';
import { createPlaces } from '@silo/runtime/places.ts';
import type { Peers } from '@silo/service/peers.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import type { MigratingProjectStore } from '../store/migrating-projects.ts';
import type { ProjectStore } from '../store/projects.ts';

const knownMax = 10_000;
const knownMs = 60_000;
/**
 * Shorter than `knownMs`: the region may refuse the token of a deleted project, which may be
 * undeleted soon after.
 */
const refusedMs = 5_000;
/** Time for which the answer whether any project has left is cached: a migration takes longer. */
const leftMs = 1_000;
/**
 * Limits of calls by one process to one region, so that clients that guess tokens do not burden
 * other regions.
 */
const asking = { atOnce: 8, waitingMax: 256 };
/**
 * Maximum share of one address, so that it does not fill the queue of a region that does not
 * answer.
 */
const ofAddressMax = 32;
const deadlineMs = 2_000;

/** While a project is handed over, both regions have its token. */
const statesHere: ReadonlySet<ProjectState> = new Set([
  ProjectState.PROJECT_STATE_ACTIVE,
  ProjectState.PROJECT_STATE_DELETED,
]);

/** The project of a token, and its region. */
type Place = { region: string; projectId: string };
/** An undefined place: the token does not belong to a project that migrated from here. */
type Known = { place: Place | undefined; untilMs: number };

export type TokensElsewhereDependencies = {
  /** Clients of the project service in the other regions. */
  regions: ReadonlyMap<string, Pick<RegionClient, 'locateHere'>>;
  projects: Pick<ProjectStore, 'fact'>;
  migratingProjects: Pick<MigratingProjectStore, 'haveAnyLeft'>;
  /** The token service of this region. */
  directory: Pick<Peers['token']['directory'], 'findTokenProjects'>;
  clock: Clock;
};

/**
 * Locates tokens that this region does not know: those that were regenerated after their projects
 * migrated from here.
 */
export class TokensElsewhere {
  readonly #dependencies: TokensElsewhereDependencies;
  readonly #known = new Map<string, Known>();
  readonly #asked = new Map<string, Promise<Place | undefined>>();
  readonly #turns: ReadonlyMap<string, Turns>;
  readonly #turnsHere = turns();
  readonly #readLeft: () => Promise<boolean>;
  #left: { haveAny: boolean; untilMs: number } | undefined;

  constructor(dependencies: TokensElsewhereDependencies) {
    this.#dependencies = dependencies;
    this.#turns = new Map(Array.from(dependencies.regions.keys(), (region) => [region, turns()]));
    const readLeft = coalesce<void, boolean>(async () => {
      const sinceMs = dependencies.clock.monotonicMs();
      const haveAny = await dependencies.migratingProjects.haveAnyLeft(
        AbortSignal.timeout(deadlineMs),
      );
      this.#left = { haveAny, untilMs: sinceMs + leftMs };
      return haveAny;
    });
    this.#readLeft = () => readLeft();
  }

  /** Whether memory knows that the token does not belong to a project that migrated from here. */
  isNone(tokenHash: Uint8Array): boolean {
    if (this.#dependencies.regions.size === 0 || this.#recallLeft() === false) return true;
    const known = this.#recall(nameOf(tokenHash));
    return known !== undefined && known.place === undefined;
  }

  /** The project of a token that `find` found recently. */
  projectOf(tokenHash: Uint8Array): string | undefined {
    return this.#known.get(nameOf(tokenHash))?.place?.projectId;
  }

  /** Notes that the region of the token refuses it. */
  noteRefused(tokenHash: Uint8Array): void {
    this.#remember(nameOf(tokenHash), undefined, refusedMs);
  }

  /** Forgets the region of the token: its project has left that region. */
  forget(tokenHash: Uint8Array): void {
    this.#known.delete(nameOf(tokenHash));
  }

  /**
   * Returns the place of a token that a network sent; undefined if the token does not belong to a
   * project that migrated from here. Refuses with DEPENDENCY_UNAVAILABLE if no region has the token
   * and one does not answer. Resolves as soon as one region has it: a region that does not answer
   * delays no token of another one.
   */
  async find(
    tokenHash: Uint8Array,
    network: string,
    signal: AbortSignal,
  ): Promise<Place | undefined> {
    if (this.#dependencies.regions.size === 0) return undefined;
    const name = nameOf(tokenHash);
    const known = this.#recall(name);
    if (known !== undefined) return known.place;
    const haveLeft = this.#recallLeft() ?? (await race(this.#readLeft(), signal));
    if (!haveLeft) return undefined;
    const asked = this.#asked.get(name) ?? this.#ask(name, Buffer.from(tokenHash), network);
    return await race(asked, signal);
  }

  #ask(name: string, tokenHash: Buffer, network: string): Promise<Place | undefined> {
    const locate = async () => {
      const place = await this.#locate(tokenHash, network);
      this.#remember(name, place);
      return place;
    };
    const asked = locate()
      .catch((error: unknown) => {
        throw errors.dependencyUnavailable('another region', error);
      })
      .finally(() => this.#asked.delete(name));
    asked.catch(() => {}); // the requests that wait for it may have ended
    this.#asked.set(name, asked);
    return asked;
  }

  /** Whether any project has left this region; undefined if the cached answer has expired. */
  #recallLeft(): boolean | undefined {
    const isFresh = this.#left && this.#dependencies.clock.monotonicMs() < this.#left.untilMs;
    return isFresh ? this.#left?.haveAny : undefined;
  }

  /**
   * Whether the token is, or was, a token of a project in this region. Then no other region has it:
   * this region lacks only tokens that were regenerated in another region. Returns false if the
   * token service does not answer.
   */
  async #isOfProjectHere(tokenHash: Buffer, network: string): Promise<boolean> {
    const { directory, projects } = this.#dependencies;
    const signal = AbortSignal.timeout(deadlineMs);
    const find = async () => {
      const request = { tokenHashes: [tokenHash] };
      const { tokens } = await directory.findTokenProjects(request, { signal });
      const [{ projectId } = { projectId: '' }] = tokens;
      if (projectId === '') return false;
      const project = await projects.fact(projectId, signal);
      return project !== undefined && statesHere.has(project.state);
    };
    return await this.#turnsHere(network, find).catch(() => false);
  }

  async #locate(tokenHash: Buffer, network: string): Promise<Place | undefined> {
    if (await this.#isOfProjectHere(tokenHash, network)) return undefined;
    const calls = Array.from(this.#turns, ([region, inTurn]) =>
      inTurn(network, () => this.#locateIn(region, tokenHash)),
    );
    const found = Promise.withResolvers<Place>();
    for (const call of calls) {
      call.then(
        (place) => place !== undefined && found.resolve(place),
        () => {}, // handled below
      );
    }
    const all = Promise.allSettled(calls).then((answers) => {
      const having = answers.find((answer) => answer.status === 'fulfilled' && answer.value);
      if (having?.status === 'fulfilled') return having.value;
      const failed = answers.find((answer) => answer.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      return undefined;
    });
    return await Promise.race([found.promise, all]);
  }

  /** Asks one region, which names itself, another region, or no region. */
  async #locateIn(asked: string, tokenHash: Buffer): Promise<Place | undefined> {
    const { regions, projects } = this.#dependencies;
    const signal = AbortSignal.timeout(2 * deadlineMs);
    const request = { projectId: '', tokenHash };
    const answer = await regions.get(asked)?.locateHere(request, { signal, deadlineMs });
    const { region = '', projectId = '' } = answer ?? {};
    if (!regions.has(region)) return undefined;
    // Tokens of projects that did not migrate from here do not concern this region.
    const project = await projects.fact(projectId, signal);
    const isFromHere = project?.state === ProjectState.PROJECT_STATE_MIGRATED;
    return isFromHere ? { region, projectId } : undefined;
  }

  #recall(name: string): Known | undefined {
    const known = this.#known.get(name);
    return known !== undefined && known.untilMs > this.#dependencies.clock.monotonicMs()
      ? known
      : undefined;
  }

  #remember(name: string, place: Place | undefined, forMs = knownMs): void {
    this.#known.delete(name);
    this.#known.set(name, { place, untilMs: this.#dependencies.clock.monotonicMs() + forMs });
    forgetOldest(this.#known, knownMax);
  }
}

/** Runs a call to one region when the limits allow it. */
type Turns = <T>(network: string, call: () => Promise<T>) => Promise<T>;

/**
 * The returned function rejects with a RangeError if the region or the address has its maximum of
 * calls.
 */
function turns(): Turns {
  const inTurn = limit(asking);
  const places = createPlaces({ ofOwner: ofAddressMax });
  return async (network, call) => {
    using _ = places.take(network);
    return await inTurn(call);
  };
}

function nameOf(tokenHash: Uint8Array): string {
  return Buffer.from(tokenHash).toString('base64');
}
