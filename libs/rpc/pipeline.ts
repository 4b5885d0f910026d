import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerUnaryCall,
  ServerWritableStream,
} from '@grpc/grpc-js';
import { Authorization } from '@silo/access/authorization.ts';
import { errors } from '@silo/errors/errors.ts';
import { from } from '@silo/errors/from.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { toStatus } from '@silo/errors/to-status.ts';
import { race } from '@silo/runtime/deadline.ts';
import type { Logger } from 'pino';
import { ActiveCall, type Ending } from './active-call.ts';
import { type AdmissionOptions, type Admitted, admit } from './admit.ts';
import type { CallReport } from './call-report.ts';
import { beginCallSpan } from './call-span.ts';
import type { Arrival } from './front.ts';
import type { Identify } from './identity.ts';
import type { MethodRules } from './method-rules.ts';
import type { Answered, MountedMethod } from './mount.ts';
import { type Propagate, withPropagation } from './propagation.ts';

/** Time limits of unary calls. */
export type Deadlines = {
  /** Used if the client sets none. */
  defaultMs: number;
  /** The maximum, even if the client would wait longer. */
  maxMs: number;
};

/** What all methods of one server share. */
export type Pipeline = {
  admission: AdmissionOptions;
  deadlines: Deadlines;
  log: Logger;
  report: CallReport['answered'];
  identify: Identify;
  /** What is known about a call's connection. */
  arrivalOf(call: object): Arrival;
  /** Required if a method may end access. */
  propagate: Propagate | undefined;
  /** The calls being served; once it is draining, new ones are refused. */
  serving: { calls: Set<ActiveCall>; streams: Set<ActiveCall>; draining: boolean };
};

// The response is sent before the client's deadline, so that the client gets the reason.
const answerMarginMs = 250;
// Retry delay for a client that must first read the answers that it has.
const unreadRetryMs = 1_000;
// A larger message of a stream is awaited until its client has read it.
const smallMessageBytes = 64 * 1_024;
// Time for a handler to return a more specific error than CALL_ENDED after its signal aborted.
const abortGraceMs = 100;

type UnaryMethod = Extract<MountedMethod, { streams: false }>;
type StreamMethod = Extract<MountedMethod, { streams: true }>;
type AnyCall = ServerUnaryCall<Buffer, Buffer> | ServerWritableStream<Buffer, Buffer>;

/** One unary method in the form of grpc-js: bytes in, bytes out. */
export function serveUnary(
  method: UnaryMethod,
  rules: MethodRules,
  pipeline: Pipeline,
): handleUnaryCall<Buffer, Buffer> {
  const { serving, deadlines } = pipeline;
  return (grpcCall, callback) => {
    const durationMs = unaryDurationMs(grpcCall, deadlines);
    const arrival = pipeline.arrivalOf(grpcCall);
    const active = new ActiveCall(
      method.path,
      durationMs,
      grpcCall.metadata,
      arrival.address,
      pipeline.log,
      beginCallSpan(rules, grpcCall.metadata),
    );
    let answered = false;
    const answer = (outcome: SiloError | undefined, bytes?: Buffer) => {
      if (answered) return;
      answered = true;
      clearTimeout(timer);
      serving.calls.delete(active);
      const length = bytes?.length ?? 0;
      // A change has been made by now, so it is always answered.
      const isRefused = !outcome && !rules.mayChange && !arrival.hasRoomFor(length);
      const error = isRefused ? errors.rateLimited('answers', unreadRetryMs) : outcome;
      pipeline.report(active, rules, error);
      arrival.answered(error === undefined ? length : 0);
      if (error === undefined) callback(null, bytes);
      else callback(toStatus(error));
    };
    const endAt = () => {
      if (active.ended === undefined) {
        active.end('deadline');
        timer = setTimeout(endAt, abortGraceMs);
      } else answer(endedError(active.ended));
    };
    let timer = setTimeout(endAt, durationMs);
    // grpc-js cancels every call at its end, even one that was answered.
    grpcCall.on('cancelled', () => {
      if (!answered) active.end('cancelled');
    });
    serving.calls.add(active);
    active
      .run(() => runUnary(method, rules, pipeline, grpcCall, active))
      .then(
        (bytes) => answer(undefined, bytes),
        (error: unknown) => answer(funnel(error, active)),
      );
  };
}

async function runUnary(
  method: UnaryMethod,
  rules: MethodRules,
  pipeline: Pipeline,
  grpcCall: ServerUnaryCall<Buffer, Buffer>,
  { call }: ActiveCall,
): Promise<Buffer> {
  const { serving, propagate } = pipeline;
  if (serving.draining) throw errors.draining();
  const { answer, outcome } = await answerOf(method, rules, pipeline, grpcCall, call);
  const { propagationField } = rules;
  if (propagationField === undefined || outcome?.keepsAccess) return withoutCopy(answer);
  if (propagate === undefined) throw new TypeError(`${rules.path} cannot spread what it ends`);
  // The events of a saga are not known here; without events the barrier waits for everything
  // decided so far.
  const propagation = await propagate(outcome?.eventIds ?? [], call.signal);
  return withPropagation(answer, propagationField, propagation);
}

function withoutCopy({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/**
 * The answer, from the handler or from a stored response. Afterwards the call decides nothing more.
 */
async function answerOf(
  method: UnaryMethod,
  rules: MethodRules,
  pipeline: Pipeline,
  grpcCall: ServerUnaryCall<Buffer, Buffer>,
  call: ActiveCall['call'],
): Promise<Answered> {
  if (rules.mayChange) call.authorization = new Authorization();
  call.awaitsPosition = rules.propagationField !== undefined;
  try {
    const admitted = await admitArrived(method, rules, pipeline, grpcCall, call);
    if ('answer' in admitted) return admitted;
    return await method.handle(admitted.request, call);
  } finally {
    // A barrier waits for all permits of pending decisions, so the call must not hold its own.
    call.authorization?.release();
  }
}

/**
 * One server-streaming method in the form of grpc-js. Its deadline is the client's, if it has one.
 */
export function serveStream(
  method: StreamMethod,
  rules: MethodRules,
  pipeline: Pipeline,
): handleServerStreamingCall<Buffer, Buffer> {
  const { serving } = pipeline;
  return (grpcCall) => {
    const durationMs = remainingMs(grpcCall);
    const active = new ActiveCall(
      method.path,
      durationMs,
      grpcCall.metadata,
      pipeline.arrivalOf(grpcCall).address,
      pipeline.log,
      beginCallSpan(rules, grpcCall.metadata),
    );
    const timer = Number.isFinite(durationMs)
      ? setTimeout(() => active.end('deadline'), Math.min(durationMs, timerMaxMs))
      : undefined;
    grpcCall.on('cancelled', () => active.end('cancelled'));
    serving.streams.add(active);
    const answer = (error: SiloError | undefined) => {
      clearTimeout(timer);
      serving.streams.delete(active);
      pipeline.report(active, rules, error);
      if (grpcCall.destroyed) return;
      if (error === undefined) grpcCall.end();
      else grpcCall.emit('error', toStatus(error));
    };
    active
      .run(() => runStream(method, rules, pipeline, grpcCall, active))
      .then(
        () => answer(undefined),
        (error: unknown) => answer(funnel(error, active)),
      );
  };
}

const timerMaxMs = 2 ** 31 - 1;

async function runStream(
  method: StreamMethod,
  rules: MethodRules,
  pipeline: Pipeline,
  grpcCall: ServerWritableStream<Buffer, Buffer>,
  { call }: ActiveCall,
): Promise<void> {
  if (pipeline.serving.draining) throw errors.draining();
  const admitted = await admitArrived(method, rules, pipeline, grpcCall, call);
  if ('answer' in admitted) throw new TypeError(`${method.path} streams, and remembers nothing`);
  const responses = method.handle(admitted.request, call)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await race(responses.next(), call.signal);
      if (done) return;
      await write(grpcCall, value, pipeline.arrivalOf(grpcCall), call.signal);
    }
  } finally {
    // Not awaited: a handler that ignores its signal must not keep the call open.
    responses.return?.()?.catch(() => {});
  }
}

/**
 * Writes one message, and waits if its client does not read, so that few messages are held in
 * memory.
 */
async function write(
  grpcCall: ServerWritableStream<Buffer, Buffer>,
  message: Buffer,
  arrival: Arrival,
  signal: AbortSignal,
): Promise<void> {
  const hasLeft = new Promise<void>((resolve) => grpcCall.write(message, () => resolve()));
  if (message.length < smallMessageBytes && !grpcCall.writableNeedDrain) return;
  if (!arrival.hasRoomFor(message.length)) throw errors.rateLimited('answers', unreadRetryMs);
  const release = arrival.holds(message.length);
  try {
    await race(hasLeft, signal);
  } finally {
    release();
  }
}

async function admitArrived(
  method: MountedMethod,
  rules: MethodRules,
  { identify, arrivalOf, admission }: Pipeline,
  grpcCall: AnyCall,
  call: ActiveCall['call'],
): Promise<Admitted> {
  const arrival = arrivalOf(grpcCall);
  const incoming = {
    rules,
    call,
    bytes: grpcCall.request,
    metadata: grpcCall.metadata,
    arrival,
    identity: () => identify(grpcCall),
    encodeRequest: method.encodeRequest,
  };
  const admitted = await admit(incoming, admission);
  arrival.admitted();
  return admitted;
}

function remainingMs(grpcCall: AnyCall): number {
  const deadline = grpcCall.getDeadline();
  return Math.max(0, (typeof deadline === 'number' ? deadline : deadline.getTime()) - Date.now());
}

function unaryDurationMs(grpcCall: AnyCall, { defaultMs, maxMs }: Deadlines): number {
  const givenMs = remainingMs(grpcCall);
  if (givenMs === Number.POSITIVE_INFINITY) return defaultMs;
  return Math.min(maxMs, givenMs - Math.min(answerMarginMs, givenMs / 10));
}

function funnel(error: unknown, active: ActiveCall): SiloError {
  const { ended } = active;
  if (ended === undefined) return from(error, { callId: active.id });
  return ended === 'shutdown'
    ? from(isAbort(error) ? errors.draining() : error, { callId: active.id })
    : from(error, { callId: active.id, ended });
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

function endedError(how: Ending): SiloError {
  return how === 'shutdown' ? errors.draining() : errors.callEnded(how);
}
