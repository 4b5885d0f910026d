import type { Reading } from './core/fence.ts';

/** Reads both clocks of this machine, one right after the other. */
export function readClocks(): Reading {
  return { monotonicMs: performance.now(), wallMs: Date.now() };
}
