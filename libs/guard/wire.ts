import { hasReached } from '@silo/log/position.ts';
import type { Duration } from '@silo/protos/gen/google/protobuf/duration.ts';
import type { LogPosition } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import type {
  LeaseTerms,
  RenewResponse,
} from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import type { RenewAnswer } from './core/messages.ts';
import { type Positions, type Source, sources } from './core/position.ts';
import { checkLeaseNumbers, type LeaseNumbers } from './core/settings.ts';

/** Converts positions to messages. */
export function toLogPositions(positions: Positions): LogPosition[] {
  return sources.flatMap((source) => {
    const position = positions[source];
    return position === undefined ? [] : [{ source, ...position }];
  });
}

/**
 * Reads positions from a message. Ignores sources that this build does not know and invalid
 * positions; these positions are then unknown.
 */
export function fromLogPositions(messages: readonly LogPosition[]): Positions {
  const positions: Positions = {};
  for (const { source, incarnation, sequence = 0 } of messages) {
    if (!isSource(source) || incarnation === '') continue;
    if (!Number.isSafeInteger(sequence) || sequence < 0) continue;
    const position = { incarnation, sequence };
    if (!hasReached(positions[source], position)) positions[source] = position;
  }
  return positions;
}

/** Whether events of this service end facts. */
export function isSource(service: string): service is Source {
  return sources.some((source) => source === service);
}

export function toLeaseTerms({ leaseMs, renewMs, driftShare }: LeaseNumbers): LeaseTerms {
  return { lease: toDuration(leaseMs), renewInterval: toDuration(renewMs), driftShare };
}

/** The settings of a lease. Throws RangeError if they are unsafe or missing. */
export function fromLeaseTerms(terms: LeaseTerms | undefined): LeaseNumbers {
  const numbers = {
    leaseMs: fromDuration(terms?.lease),
    renewMs: fromDuration(terms?.renewInterval),
    driftShare: terms?.driftShare ?? 0,
  };
  checkLeaseNumbers(numbers);
  return numbers;
}

export function toRenewResult(answer: RenewAnswer): NonNullable<RenewResponse['result']> {
  switch (answer.result) {
    case 'granted':
      return { $case: 'granted', value: toLeaseTerms(answer.numbers) };
    case 'behind': {
      const positions = toLogPositions(answer.required);
      const terms = toLeaseTerms(answer.numbers);
      return { $case: 'behind', value: { positions, terms } };
    }
    case 'lost':
      return { $case: 'lost', value: {} };
  }
}

/** Reads the result of a renewal. Throws RangeError if this build does not understand it. */
export function fromRenewResponse({ result }: Pick<RenewResponse, 'result'>): RenewAnswer {
  switch (result?.$case) {
    case 'granted':
      return { result: 'granted', numbers: fromLeaseTerms(result.value) };
    case 'behind': {
      const required = fromLogPositions(result.value.positions);
      return { result: 'behind', required, numbers: fromLeaseTerms(result.value.terms) };
    }
    case 'lost':
      return { result: 'lost' };
    case undefined:
      throw new RangeError('a renewal was answered without a result');
  }
}

export function toDuration(durationMs: number): Duration {
  const seconds = Math.floor(durationMs / 1_000);
  return { seconds, nanos: Math.round((durationMs - seconds * 1_000) * 1_000_000) };
}

export function fromDuration(duration: Duration | undefined): number {
  if (duration === undefined) return 0;
  return duration.seconds * 1_000 + duration.nanos / 1_000_000;
}
