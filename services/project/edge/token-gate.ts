import type { Access, TokenAnswer, TokenPermitAnswer } from '@silo/access/access.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { RateLimits } from '@silo/rpc/rate-limits.ts';
import { refusalError } from '@silo/rpc/refusal.ts';
import { hashOf, isWellFormed, secretPrefixes } from '@silo/tokens/secrets.ts';
import type { DeadTokenRequest } from '../capture/dead-token-counter.ts';
import { HttpRefusal, isHeld, isTokenInvalid, regionOf } from './http-refusal.ts';
import type { TokensElsewhere } from './tokens-elsewhere.ts';

const crossRegion = ErrorReason.ERROR_REASON_CROSS_REGION;

/** The sender of a request; fields that the request does not contain are ''. */
export type Sender = { address: string; network: string; library: string; origin: string };

export type TokenGateDependencies = {
  access: Pick<Access, 'recallToken' | 'permitToken' | 'verifyToken'>;
  rates: RateLimits;
  elsewhere: Pick<TokensElsewhere, 'isNone' | 'find' | 'projectOf' | 'noteRefused' | 'forget'>;
  /** Receives each refused request whose token is dead. */
  onDeadToken(request: DeadTokenRequest): void;
};

type Allowed<Answer> = Extract<Answer, { allowed: true }>;

/**
 * Checks the project tokens of requests. Refusing a token that memory knows to be invalid costs no
 * I/O.
 */
export class TokenGate {
  readonly #dependencies: TokenGateDependencies;

  constructor(dependencies: TokenGateDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Throws TOKEN_INVALID if memory knows that the token is invalid, here and in the other regions.
   */
  refuseKnown(token: string, sender: Sender): void {
    if (!isDead(this.#dependencies.access.recallToken(token))) return;
    if (this.#isNoneElsewhere(token, hashOf(token))) this.refuse(token, sender);
  }

  /** Whether memory knows the token as that of a project, here or elsewhere. */
  isKnown(token: string): boolean {
    const answer = this.#dependencies.access.recallToken(token);
    if (answer === undefined) return false;
    return !isDead(answer) || this.projectElsewhere(token) !== undefined;
  }

  /** Whether only other regions can confirm the token: its requests wait for them. */
  isElsewhere(token: string): boolean {
    return isDead(this.#dependencies.access.recallToken(token));
  }

  /**
   * The key by which waiting requests share memory: the token, as each project has one token at a
   * time. Unknown tokens share the memory of one project, so that invented tokens get no more.
   */
  waitsFor(token: string): string {
    return this.isKnown(token) ? token : '';
  }

  /** The project of a token as reported by another region; undefined if none has reported it. */
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

  /** Throws TOKEN_INVALID if the token is dead. The token of a migrating project is not dead. */
  async verify(token: string, sender: Sender, signal: AbortSignal): Promise<void> {
    const look = async () => this.#dependencies.access.verifyToken(token, signal);
    await this.#check(token, sender, signal, look).catch(throwUnlessMigrating);
  }

  /**
   * Like `verify`, but takes a permit: without a read lease it waits for one, whereas `verify` asks
   * the owners.
   */
  async confirm(token: string, sender: Sender, signal: AbortSignal): Promise<void> {
    const release = ({ permit }: Allowed<TokenPermitAnswer>) => permit.release();
    await this.permit(token, sender, signal).then(release, throwUnlessMigrating);
  }

  /** Refuses a token that the region of its project has refused. */
  refuseThere(token: string, sender: Sender): never {
    this.#dependencies.elsewhere.noteRefused(hashOf(token));
    this.refuse(token, sender);
  }

  /** Forgets the region of the token: the project has left that region. */
  forgetPlace(token: string): void {
    this.#dependencies.elsewhere.forget(hashOf(token));
  }

  /** Counts a use of a dead token, and refuses it. */
  refuse(token: string, { library, origin }: Sender): never {
    // An invented token belongs to no project: counting it would displace tokens of projects.
    if (isPossible(token)) {
      this.#dependencies.onDeadToken({ tokenHash: hashOf(token), library, origin });
    }
    throw HttpRefusal.tokenInvalid;
  }

  /** A malformed token causes no call to other regions: invented tokens would burden them. */
  #isNoneElsewhere(token: string, tokenHash: Uint8Array): boolean {
    return !isPossible(token) || this.#dependencies.elsewhere.isNone(tokenHash);
  }

  /**
   * For each address, tokens that memory does not know are looked up a few at a time. The look-ups
   * in other regions do not count as these: a region that does not answer delays no other token of
   * the address.
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
    // Decide once: after the first look-up memory knows the token, and a failure must still count.
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
        // Only the first of many requests with the same token counts.
        isFirst = access.recallToken(token) === undefined;
        // Check before the look-up: a project that returns is known here before it stops being
        // elsewhere.
        const isNoneElsewhere = this.#isNoneElsewhere(token, tokenHash);
        const answer = await look();
        return isDead(answer) && !isNoneElsewhere ? undefined : requireAllowed(answer);
      });
      if (here !== undefined) return here;
      const place = await elsewhere.find(tokenHash, network, signal).catch(async (error) => {
        // Without this, guessing tokens would be free while a region does not answer.
        if (isFirst) await rates.noteUnconfirmed(network);
        throw error;
      });
      if (place !== undefined) throw refusalError({ reason: crossRegion, detail: place.region });
      // The project may have come here meanwhile: this region knows the token before the other one
      // forgets it.
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
