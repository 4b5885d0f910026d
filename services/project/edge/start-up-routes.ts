import { randomUUID } from 'node:crypto';
import type { RateLimits } from '@silo/rpc/rate-limits.ts';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { bearerToken, readToken } from '../rules/edge/capture-body.ts';
import type { HeldBytes } from './held-bytes.ts';
import { HttpRefusal } from './http-refusal.ts';
import { readAtCost } from './read-at-cost.ts';
import { noteToken } from './refusal-lines.ts';
import { senderOf } from './sender.ts';
import { configAnswer, configScript, flagsAnswer } from './start-up.ts';
import type { TokenGate } from './token-gate.ts';

const verifyMs = 3_000;

/** Adds the routes that SDKs read when they start. */
export function addStartUpRoutes(
  app: FastifyInstance,
  { gate, held, rates }: { gate: TokenGate; held: HeldBytes; rates: RateLimits },
): void {
  const verify = async (token: string | undefined, request: FastifyRequest) => {
    if (token === undefined) throw HttpRefusal.tokenInvalid;
    noteToken(request, token);
    await gate.verify(token, senderOf(request), AbortSignal.timeout(verifyMs));
  };
  for (const path of ['/flags', '/decide']) {
    app.post(path, async (request) => {
      const sender = senderOf(request);
      using share = held.begin(sender.network);
      const dependencies = { rates, isGood: () => false };
      await readAtCost(request.raw, sender, share, dependencies, async (text) => {
        await verify(readToken(text) ?? bearerToken(request.headers.authorization), request);
      });
      return flagsAnswer(randomUUID());
    });
  }
  app.get<{ Params: { token: string } }>('/array/:token/config', async (request) => {
    await verify(request.params.token, request);
    return configAnswer(request.params.token);
  });
  app.get<{ Params: { token: string } }>('/array/:token/config.js', async (request, reply) => {
    // Return 404 for a script with an invalid token.
    await verify(request.params.token, request).catch(notFoundIfRefused);
    return await reply
      .type('text/javascript; charset=utf-8')
      .send(configScript(request.params.token));
  });
}

function notFoundIfRefused(error: unknown): never {
  if (error instanceof HttpRefusal && error.status === 401) throw HttpRefusal.notFound;
  throw error;
}
