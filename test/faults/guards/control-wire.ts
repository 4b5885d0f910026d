import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Question } from './question.ts';

/** Messages to a guard process. */
export type ToGuard =
  | { kind: 'check'; questions: Question[] }
  /** Checks this at once, although it was refused just now. */
  | { kind: 'recheck'; id: number }
  | { kind: 'retire'; ids: number[] }
  /** Writes the history into this file from now on. */
  | { kind: 'turnPage'; file: string }
  /** Requests a `report` once every question has been checked again. */
  | { kind: 'report'; number: number };

/** Messages from a guard process. */
export type FromGuard =
  | { kind: 'hello'; name: string }
  /** The first acceptance since the request. */
  | { kind: 'accepted'; id: number }
  /** The questions that were accepted from memory. */
  | { kind: 'report'; number: number; fromMemory: number[] };

/** Sends one message as a line of JSON. */
export function send(socket: Socket, message: ToGuard | FromGuard): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(message)}\n`);
}

/** Passes on each message that arrives, until the other side disconnects. */
export async function receive<Message extends ToGuard | FromGuard>(
  socket: Socket,
  take: (message: Message) => void,
): Promise<void> {
  socket.on('error', () => {}); // the lines end
  for await (const line of createInterface({ input: socket })) take(JSON.parse(line) as Message);
}
