import type { Socket } from 'node:net';
import { unread } from '@silo/rpc/limits.ts';
import { UnreadAnswers } from '@silo/rpc/unread-answers.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { HeldBytes } from './held-bytes.ts';
import { senderOf } from './sender.ts';

type RawResponse = FastifyReply['raw'];

/**
 * Limits the memory of responses that clients do not read, by the rules of the gRPC ports: a client
 * that does not read in time loses its connection. A large response also counts as memory of its
 * network.
 */
export function limitUnread(
  app: FastifyInstance,
  { held, clock }: { held: HeldBytes; clock: Clock },
): void {
  const answers = new UnreadAnswers<RawResponse>(
    ({ req }) => req.socket.destroy(),
    () => clock.monotonicMs(),
  );
  app.addHook('onClose', async () => answers[Symbol.dispose]());
  app.server.on('connection', (socket: Socket) => {
    socket.once('close', () => answers.releaseAll(socket));
  });
  app.addHook('onSend', (request, reply, payload, done) => {
    const bytes = typeof payload === 'string' ? Buffer.byteLength(payload) : 0;
    const isLarge = bytes > unread.smallBytes;
    const release = isLarge ? held.holdAnswer(senderOf(request).network, bytes) : undefined;
    answers.add(reply.raw, request.raw.socket, bytes, release);
    done();
  });
}
