import { status } from '@grpc/grpc-js';
import type { SiloError } from '@silo/errors/silo-error.ts';
import type { Logger } from 'pino';
import { Counter, Histogram, type Registry } from 'prom-client';
import type { ActiveCall } from './active-call.ts';
import type { MethodRules } from './method-rules.ts';
import { createRefusalSampling } from './refusal-sampling.ts';

/** Told of calls. */
export type CallReport = {
  /** Of every call once it is answered: what it was, and how it went. */
  answered(active: ActiveCall, rules: MethodRules, error: SiloError | undefined): void;
  /** Of one that was refused before it was looked at: the path it was for, and its address. */
  refused(path: string, address: string, error: SiloError): void;
};

/** Stands for the method of what was refused before it was looked at: its path is anybody's text. */
const notLookedAt = 'none';
const pathLengthMax = 200;

const bucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/**
 * One log line per call, without any request id, and the metrics where there is a registry. Routine
 * reads that go well are told at debug level only. A refused call's line says who asked: account or
 * certificate, fingerprint of the key, address. Of a flood of refusals only samples are logged.
 */
export function createCallReport(log: Logger, registry?: Registry): CallReport {
  const measure = registry === undefined ? undefined : measureIn(registry);
  const sample = createRefusalSampling();
  const isSampled = (address: string) => {
    const { isLogged, unloggedBefore } = sample(address);
    if (unloggedBefore > 0) log.warn({ calls: unloggedBefore }, 'refused calls without a line');
    return isLogged;
  };
  const answered: CallReport['answered'] = (active, { isRoutine }, error) => {
    const durationMs = performance.now() - active.startMs;
    const code = status[error?.code ?? status.OK] ?? 'UNKNOWN';
    const reason = error?.reasonName;
    measure?.(active.call.method, code, reason ?? '', durationMs / 1_000);
    const level = levelOf(error, isRoutine);
    if (!log.isLevelEnabled(level)) return;
    if (error !== undefined && level !== 'error' && !isSampled(active.address)) return;
    log[level](
      {
        callId: active.id,
        traceId: active.traceId,
        method: active.call.method,
        // Not `code`: that name is an invite's secret, which the logger blots.
        status: code,
        reason,
        ms: Math.round(durationMs * 10) / 10,
        actor: active.call.actor,
        ...(error !== undefined && {
          address: active.address,
          keyFingerprint: active.keyFingerprint,
        }),
        // What was behind it, where it is not the caller's doing; never told to the caller.
        ...(error?.cause !== undefined && { err: error.cause }),
      },
      'call',
    );
  };
  const refused: CallReport['refused'] = (path, address, error) => {
    const fields = { status: status[error.code] ?? 'UNKNOWN', reason: error.reasonName };
    measure?.(notLookedAt, fields.status, fields.reason, 0);
    if (!isSampled(address)) return;
    log.info({ method: path.slice(0, pathLengthMax), ...fields, address }, 'call');
  };
  return { answered, refused };
}

function levelOf(
  error: SiloError | undefined,
  isRoutine: boolean,
): 'debug' | 'info' | 'warn' | 'error' {
  if (error === undefined) return isRoutine ? 'debug' : 'info';
  if (error.code === status.INTERNAL) return 'error';
  return error.cause === undefined ? 'info' : 'warn';
}

type Measure = (method: string, code: string, reason: string, seconds: number) => void;

// Both ports of a process report to the same metrics.
const measures = new WeakMap<Registry, Measure>();

function measureIn(registry: Registry): Measure {
  const measure = measures.get(registry) ?? createMeasure(registry);
  measures.set(registry, measure);
  return measure;
}

function createMeasure(registry: Registry): Measure {
  const calls = new Counter({
    name: 'silo_rpc_calls_total',
    help: 'Calls answered, by method, gRPC code and reason.',
    labelNames: ['method', 'code', 'reason'],
    registers: [registry],
  });
  const durations = new Histogram({
    name: 'silo_rpc_duration_seconds',
    help: 'From the arrival of a call to its answer.',
    labelNames: ['method'],
    buckets: bucketsSeconds,
    registers: [registry],
  });
  // Looking a child up by its labels costs more than counting does.
  const known = new Map<string, { inc(): void; observe(seconds: number): void }>();
  return (method, code, reason, seconds) => {
    const key = `${method} ${code} ${reason}`;
    let child = known.get(key);
    if (child === undefined) {
      const counted = calls.labels(method, code, reason);
      const timed = durations.labels(method);
      child = { inc: () => counted.inc(), observe: (value) => timed.observe(value) };
      known.set(key, child);
    }
    child.inc();
    child.observe(seconds);
  };
}
