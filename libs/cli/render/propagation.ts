import type { Propagation } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import type { Block } from '../text.ts';

/** How a change that removed access has spread; empty if it removed none. */
export function propagationBlocks(
  propagation: Propagation | undefined,
  what = 'The old access has ended everywhere',
): Block[] {
  if (propagation === undefined) return [];
  const { guards = 0, expired = 0, elapsed } = propagation;
  const elapsedMs = (elapsed?.seconds ?? 0) * 1_000 + (elapsed?.nanos ?? 0) / 1_000_000;
  const counted = guards === 0 ? [] : [guards === 1 ? '1 guard' : `${guards} guards`];
  const late = expired === 0 ? [] : [`${expired} of them by the end of their lease`];
  const how = [...counted, ...late, `${Math.round(elapsedMs)} ms`].join(', ');
  return [{ text: `${what} (${how}).`, style: 'dim' }];
}
