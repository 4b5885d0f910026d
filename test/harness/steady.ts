import { randomUUID } from 'node:crypto';
import type { CallOptions } from '@silo/rpc/client.ts';
import { isUnanswered, untilAnswered } from './eventually.ts';

type Method = (request: object, options?: CallOptions) => unknown;

/** With these the response holds a secret: the caller chooses the id, and an empty one is refused. */
const withOwnIds: ReadonlySet<string> = new Set([
  'createAccount',
  'createApiKey',
  'inviteMember',
  'rollApiKey',
]);

/**
 * The same methods, for tests that are not about failing calls: where no response came in time, a
 * call is sent again, as the `silo` command does, so that a busy machine fails no test. A change
 * has one request id in all its tries. Streams, and calls with a deadline or a signal of their own,
 * are sent once.
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

/** All clients of an API so, where the others are sent once. */
export function steadyApi<Api extends object>(api: Api): Api {
  const clients = Object.entries(api as Record<string, object>);
  return Object.fromEntries(clients.map(([name, methods]) => [name, steady(methods)])) as Api;
}

function withRequestId(name: string, request: object): object {
  const hasNone = 'requestId' in request && request.requestId === '';
  return hasNone && !withOwnIds.has(name) ? { ...request, requestId: randomUUID() } : request;
}
