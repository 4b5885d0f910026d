import { status } from '@grpc/grpc-js';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { limitLines } from '@silo/runtime/line-sampling.ts';
import type { Metrics } from '@silo/runtime/metrics.ts';
import type { Logger } from 'pino';
import type { ActiveCall } from './active-call.ts';
import type { Caller } from './call.ts';
import { endCallSpan } from './call-span.ts';
import type { MethodRules } from './method-rules.ts';
import { measureCalls } from './rpc-metrics.ts';

/** Reports calls to the log, the metrics and their traces. */
export type CallReport = {
  /** Reports a call once it has its response. */
  answered(
    active: ActiveCall,
    rules: Pick<MethodRules, 'isRoutine'>,
    error: SiloError | undefined,
  ): void;
  /** Reports a call that was rejected before it was admitted, by its path and address. */
  refused(path: string, address: string, error: SiloError, keyFingerprint?: string): void;
};

/** The `method` label of such a call: its path is untrusted text. */
const unadmittedMethod = 'none';
const pathLengthMax = 200;
/** Lines in 10 s. Fewer for rejected calls, because anybody can cause them. */
const servedLinesMax = 10_000;
const rejectedLinesMax = 1_000;

/**
 * Writes one log line per call, without request ids, ends its span, and records the metrics if they
 * are given. Successful routine reads are logged at debug level. The line of a rejected call
 * identifies its caller by account or certificate, fingerprint of the key, and address. During a
 * flood the number of lines is limited, except those of internal errors.
 */
export function createCallReport(log: Logger, metrics?: Metrics): CallReport {
  const measure = metrics === undefined ? undefined : measureCalls(metrics);
  const isServedLogged = limitLines(log, {
    linesMax: servedLinesMax,
    message: 'served calls were not logged',
  });
  // Sampled separately, so that a lower level hides no line of a higher one.
  const isRoutineLogged = limitLines(log, {
    linesMax: servedLinesMax,
    message: 'routine calls were not logged',
  });
  const isRejectedLogged = limitLines(log, {
    linesMax: rejectedLinesMax,
    message: 'rejected calls were not logged',
  });
  const answered: CallReport['answered'] = (active, { isRoutine }, error) => {
    const durationMs = performance.now() - active.startMs;
    const code = status[error?.code ?? status.OK] ?? 'UNKNOWN';
    const reason = error?.reasonName;
    measure?.(active.call.method, code, reason ?? '', durationMs / 1_000);
    const level = levelOf(error, isRoutine);
    const { actor, caller } = active.call;
    const organization = organizationOf(caller);
    if (active.span !== undefined) {
      endCallSpan(active.span, { code, reason, callId: active.id, actor, organization });
    }
    if (!log.isLevelEnabled(level)) return;
    const from = actor === 'anyone' ? active.address : actor;
    const isLogged =
      error !== undefined ? isRejectedLogged : isRoutine ? isRoutineLogged : isServedLogged;
    if (level !== 'error' && !isLogged(from)) return;
    log[level](
      {
        callId: active.id,
        traceId: active.traceId,
        method: active.call.method,
        // Not named `code`: the logger redacts that name, which is used for an invite's secret.
        status: code,
        reason,
        ms: Math.round(durationMs * 10) / 10,
        // The account of a key, or the peer of a certificate.
        actor,
        organization,
        ...(error !== undefined && {
          address: active.address,
          keyFingerprint: active.keyFingerprint,
        }),
        // The underlying cause, unless the caller caused the error; never sent to the caller.
        ...(error?.cause !== undefined && { err: error.cause }),
      },
      'call',
    );
  };
  const refused: CallReport['refused'] = (path, address, error, keyFingerprint) => {
    const fields = { status: status[error.code] ?? 'UNKNOWN', reason: error.reasonName };
    measure?.(unadmittedMethod, fields.status, fields.reason, undefined);
    if (!isRejectedLogged(address)) return;
    // A gRPC path has no query, but a client may send one, and it may hold a secret.
    const method = path.slice(0, pathLengthMax).split('?', 1)[0];
    log.info({ method, ...fields, address, keyFingerprint }, 'call');
  };
  return { answered, refused };
}

/** The organization that an admitted call concerns, if any. */
function organizationOf(caller: Caller): string | undefined {
  if (caller.kind === 'key') return caller.organization?.id;
  return caller.kind === 'token' ? caller.organizationId : undefined;
}

function levelOf(
  error: SiloError | undefined,
  isRoutine: boolean,
): 'debug' | 'info' | 'warn' | 'error' {
  if (error === undefined) return isRoutine ? 'debug' : 'info';
  if (error.code === status.INTERNAL) return 'error';
  return error.cause === undefined ? 'info' : 'warn';
}
