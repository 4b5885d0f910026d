import type { Access, TokenAnswer, TokenPermitAnswer } from '@silo/access/access.ts';
import type { RateLimits } from '@silo/rpc/rate-limits.ts';
import { refusalError } from '@silo/rpc/refusal.ts';
import { hashOf } from '@silo/tokens/secrets.ts';
import { HttpRefusal, isTokenInvalid } from './http-refusal.ts';

/** Who sends a request, as far as it says; '' where it does not. */
export type Sender = { address: string; network: string; library: string; origin: string };

export type TokenGateUses = {
  access: Pick<Access, 'recallToken' | 'permitToken' | 'verifyToken'>;
  rates: RateLimits;
  /** Records the use of a token that was refused; `tokenHash` is its SHA-256. */
  onTokenRefused(use: { tokenHash: Uint8Array; library: string; origin: string }): void;
};

type Allowed<Answer> = Extract<Answer, { allowed: true }>;

/** Checks the project tokens of requests. What memory knows to be refused costs no I/O. */
export class TokenGate {
  readonly #uses: TokenGateUses;

  constructor(uses: TokenGateUses) {
    this.#uses = uses;
  }

  /** Throws TOKEN_INVALID where memory knows that the token is not good. */
  refuseKnown(token: string, sender: Sender): void {
    if (this.#uses.access.recallToken(token)?.allowed === false) this.#refuse(token, sender);
  }

  /** Takes the permit for one capture. Throws TOKEN_INVALID. */
  async permit(
    token: string,
    sender: Sender,
    signal: AbortSignal,
  ): Promise<Allowed<TokenPermitAnswer>> {
    return await this.#check(token, sender, () => this.#uses.access.permitToken(token, signal));
  }

  /** Throws TOKEN_INVALID where the token is not good. */
  async verify(token: string, sender: Sender, signal: AbortSignal): Promise<void> {
    await this.#check(token, sender, async () => this.#uses.access.verifyToken(token, signal));
  }

  /** Tokens that memory does not know are looked up a few at a time for each address. */
  async #check<Answer extends TokenAnswer>(
    token: string,
    sender: Sender,
    look: () => Promise<Answer>,
  ): Promise<Allowed<Answer>> {
    const { access, rates } = this.#uses;
    const tokenHash = hashOf(token);
    const check = async () => {
      const answer: Answer = await look();
      if (!answer.allowed) throw refusalError(answer.refusal);
      rates.accept(tokenHash);
      return answer as Allowed<Answer>;
    };
    try {
      if (access.recallToken(token) !== undefined) return await check();
      return await rates.authenticate(sender.network, tokenHash, check);
    } catch (error) {
      if (isTokenInvalid(error)) this.#refuse(token, sender);
      throw error;
    }
  }

  #refuse(token: string, { library, origin }: Sender): never {
    this.#uses.onTokenRefused({ tokenHash: hashOf(token), library, origin });
    throw HttpRefusal.tokenInvalid;
  }
}
