import { SiloError } from '@silo/errors/silo-error.ts';
import { limitLines } from '@silo/runtime/line-sampling.ts';
import type { Log } from '@silo/runtime/log.ts';
import { fingerprintOf, hashOf } from '@silo/tokens/secrets.ts';
import type { FastifyRequest } from 'fastify';
import type { HttpRefusal } from './http-refusal.ts';
import { senderOf } from './sender.ts';

/** Maximum number of lines in 10 s, as for refused RPCs: anybody can cause them. */
const linesMax = 1_000;

const tokens = new WeakMap<FastifyRequest, string>();

/** Notes the project token of a request, for its log line if it is refused. */
export function noteToken(request: FastifyRequest, token: string): void {
  tokens.set(request, token);
}

/**
 * Returns a function that writes a log line of a refused request, with the fingerprint of its
 * project token. During a flood the number of lines is limited.
 */
export function createRefusalLines(
  log: Log,
): (request: FastifyRequest, refusal: HttpRefusal) => void {
  const isLogged = limitLines(log, { linesMax, message: 'refused HTTP requests were not logged' });
  return (request, { status, reason, cause }) => {
    const { address } = senderOf(request);
    if (!isLogged(address)) return;
    const token = tokens.get(request);
    const err = cause instanceof SiloError ? cause.cause : cause;
    log[err === undefined ? 'info' : 'warn'](
      {
        ...{ route: request.routeOptions.url ?? 'none', status, reason, address },
        tokenFingerprint: token && fingerprintOf(hashOf(token)),
        ...(err !== undefined && { err }),
      },
      'HTTP request refused',
    );
  };
}
