import { networkOf } from '@silo/rpc/client-address.ts';
import type { FastifyRequest } from 'fastify';
import type { SentEvent } from '../rules/events/check-event.ts';
import type { Sender } from './token-gate.ts';

/** The events and the sender of one request. */
export type EdgeBatch = { token: string; sender: Sender; events: readonly SentEvent[] };

/** Identifies the sender of a request by its connection and its headers. */
export function senderOf(request: FastifyRequest): Sender {
  const library = headerOf(request, 'posthog-sdk-info') ?? headerOf(request, 'user-agent') ?? '';
  const address = request.ip.replace(/^::ffff:(?=\d+\.)/i, '');
  return {
    address,
    network: networkOf(address),
    library,
    origin: headerOf(request, 'origin') ?? '',
  };
}

/** The first value of a header; undefined if it was not sent. */
export function headerOf({ headers }: FastifyRequest, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : value?.[0];
}
