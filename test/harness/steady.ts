import { randomUUID } from 'node:crypto';
import type { CallOptions } from '@silo/rpc/client.ts';
import { isUnanswered, untilAnswered } from './eventually.ts';

type Method = (request: object, options?: CallOptions) => unknown;

/**
 * Methods whose response contains a secret: the caller must choose the id, because an empty one is
 * refused.
 */
const withOwnIds: ReadonlySet<string> = new Set([
  'createAccount',
  'createApiKey',
  'inviteMember',
  'rollApiKey',
]);

/**
 * The same methods, for tests that are not about failing calls: if no response came in time, a call
 * is repeated, like the `silo` command does, so that a busy machine fails no test. All attempts of
 * a change have one request id. Streams, and calls with their own deadline or signal, are sent
 * once.
 */
export function steady<Methods extends object>(methods: Methods): Methods {
  const wrapped = Object.entries(methods as Record<string, Method>).map(([name, method]) => [
    name,
    (request: object, options?: CallOptions) => {
      const sent = withRequestId(name, request);
      const first = method(sent, options);
      const isOnce = options?.deadlineMs !== undefined || options?.signal !== undefined;
      if (isOnce || !(first instanceof Promise)) return first;
      return first.catch((error: unknown) => {
        if (!isUnanswered(error)) throw error;
        return untilAnswered(() => method(sent, options) as typeof first);
      });
    },
  ]);
  return Object.fromEntries(wrapped);
}

/** All clients of an API with such repeats, for tests whose other calls are sent once. */
export function steadyApi<Api extends object>(api: Api): Api {
  const clients = Object.entries(api as Record<string, object>);
  return Object.fromEntries(clients.map(([name, methods]) => [name, steady(methods)])) as Api;
}

function withRequestId(name: string, request: object): object {
  const hasNone = 'requestId' in request && request.requestId === '';
  return hasNone && !withOwnIds.has(name) ? { ...request, requestId: randomUUID() } : request;
}
