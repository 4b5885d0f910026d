import type { Access, TokenAnswer, TokenPermitAnswer } from '@silo/access/access.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { RateLimits } from '@silo/rpc/rate-limits.ts';
import { refusalError } from '@silo/rpc/refusal.ts';
import { hashOf, isWellFormed, secretPrefixes } from '@silo/tokens/secrets.ts';
import type { DeadTokenRequest } from '../capture/dead-token-counter.ts';
import { HttpRefusal, isHeld, isTokenInvalid, regionOf } from './http-refusal.ts';
import type { TokensElsewhere } from './tokens-elsewhere.ts';

const crossRegion = ErrorReason.ERROR_REASON_CROSS_REGION;

/** Who sends a request, as far as it says; '' where it does not. */
export type Sender = { address: string; network: string; library: string; origin: string };

export type TokenGateDependencies = {
  access: Pick<Access, 'recallToken' | 'permitToken' | 'verifyToken'>;
  rates: RateLimits;
  elsewhere: Pick<TokensElsewhere, 'isNone' | 'find' | 'projectOf' | 'noteRefused' | 'forget'>;
  /** Receives each refused request whose token is dead. */
  onDeadToken(request: DeadTokenRequest): void;
};

type Allowed<Answer> = Extract<Answer, { allowed: true }>;

/** Checks the project tokens of requests. What memory knows to be refused costs no I/O. */
export class TokenGate {
  readonly #dependencies: TokenGateDependencies;

  constructor(dependencies: TokenGateDependencies) {
    this.#dependencies = dependencies;
  }

  /** Throws TOKEN_INVALID where memory knows that the token is not good, here or elsewhere. */
  refuseKnown(token: string, sender: Sender): void {
    if (!isDead(this.#dependencies.access.recallToken(token))) return;
    if (this.#isNoneElsewhere(token, hashOf(token))) this.refuse(token, sender);
  }

  /** Whether memory knows the token as one of a project, here or elsewhere. */
  isKnown(token: string): boolean {
    const answer = this.#dependencies.access.recallToken(token);
    if (answer === undefined) return false;
    return !isDead(answer) || this.projectElsewhere(token) !== undefined;
  }

  /** Whether only other regions can say that the token is good: what waits for it waits for them. */
  isElsewhere(token: string): boolean {
    return isDead(this.#dependencies.access.recallToken(token));
  }

  /**
   * For whom a request waits: each project has one token at a time. Nobody knows yet whose the others
   * are, and who makes up tokens must not get more room by each: they share that of one project.
   */
  waitsFor(token: string): string {
    return this.isKnown(token) ? token : '';
  }

  /** The project of a token, as another region has said; undefined where none has. */
  projectElsewhere(token: string): string | undefined {
    return this.#dependencies.elsewhere.projectOf(hashOf(token));
  }

  /** Takes the permit for one capture. Throws TOKEN_INVALID, NOT_READY, CROSS_REGION. */
  async permit(
    token: string,
    sender: Sender,
    signal: AbortSignal,
  ): Promise<Allowed<TokenPermitAnswer>> {
    return await this.#check(token, sender, signal, () =>
      this.#dependencies.access.permitToken(token, signal),
    );
  }

  /** Throws TOKEN_INVALID where the token is dead: one of a project that migrates is not. */
  async verify(token: string, sender: Sender, signal: AbortSignal): Promise<void> {
    const look = async () => this.#dependencies.access.verifyToken(token, signal);
    await this.#check(token, sender, signal, look).catch(throwUnlessMigrating);
  }

  /** As `verify`, by a permit: without a read lease it waits for one, where `verify` asks the owners. */
  async confirm(token: string, sender: Sender, signal: AbortSignal): Promise<void> {
    const release = ({ permit }: Allowed<TokenPermitAnswer>) => permit.release();
    await this.permit(token, sender, signal).then(release, throwUnlessMigrating);
  }

  /** The same for a token that the region of its project has refused. */
  refuseThere(token: string, sender: Sender): never {
    this.#dependencies.elsewhere.noteRefused(hashOf(token));
    this.refuse(token, sender);
  }

  /** Forgets in which other region the token is: the project has left that region. */
  forgetPlace(token: string): void {
    this.#dependencies.elsewhere.forget(hashOf(token));
  }

  /** Counts a use of a dead token, and refuses it. */
  refuse(token: string, { library, origin }: Sender): never {
    // What was made up is no token of a project: it would only take the place of those that are.
    if (isPossible(token)) {
      this.#dependencies.onDeadToken({ tokenHash: hashOf(token), library, origin });
    }
    throw HttpRefusal.tokenInvalid;
  }

  /** What no region has made costs no call to any: others would pay for what is made up. */
  #isNoneElsewhere(token: string, tokenHash: Uint8Array): boolean {
    return !isPossible(token) || this.#dependencies.elsewhere.isNone(tokenHash);
  }

  /**
   * Tokens that memory does not know are looked up a few at a time for each address. Other regions
   * look in between: one that does not answer keeps no other token of the address waiting.
   */
  async #check<Answer extends TokenAnswer>(
    token: string,
    sender: Sender,
    signal: AbortSignal,
    look: () => Promise<Answer>,
  ): Promise<Allowed<Answer>> {
    const { access, rates, elsewhere } = this.#dependencies;
    const { network } = sender;
    const tokenHash = hashOf(token);
    // Once: after the first look memory knows the token, and a failure still counts.
    const isNew = access.recallToken(token) === undefined;
    let isFirst = false;
    const inTurn = async <T>(work: () => Promise<T>): Promise<T> =>
      isNew ? await rates.authenticate(network, tokenHash, work) : await work();
    const requireAllowed = (answer: Answer): Allowed<Answer> => {
      if (!answer.allowed) throw refusalError(answer.refusal);
      rates.accept(tokenHash);
      return answer as Allowed<Answer>;
    };
    try {
      const here = await inTurn(async () => {
        // Of many requests with the same token, one.
        isFirst = access.recallToken(token) === undefined;
        // Before the look: a project that comes back is known here before it is no longer elsewhere.
        const isNoneElsewhere = this.#isNoneElsewhere(token, tokenHash);
        const answer = await look();
        return isDead(answer) && !isNoneElsewhere ? undefined : requireAllowed(answer);
      });
      if (here !== undefined) return here;
      const place = await elsewhere.find(tokenHash, network, signal).catch(async (error) => {
        // While a region does not answer, to guess tokens would be free.
        if (isFirst) await rates.noteUnconfirmed(network);
        throw error;
      });
      if (place !== undefined) throw refusalError({ reason: crossRegion, detail: place.region });
      // Its project may have come here meanwhile: the token is known here before that leaves there.
      return await inTurn(async () => requireAllowed(await look()));
    } catch (error) {
      if (isTokenInvalid(error)) this.refuse(token, sender);
      throw error;
    }
  }
}

function throwUnlessMigrating(error: unknown): void {
  if (!isHeld(error) && regionOf(error) === undefined) throw error;
}

function isPossible(token: string): boolean {
  return isWellFormed(token, secretPrefixes.projectToken);
}

function isDead(answer: TokenAnswer | undefined): boolean {
  return (
    answer?.allowed === false && answer.refusal.reason === ErrorReason.ERROR_REASON_TOKEN_INVALID
  );
}
