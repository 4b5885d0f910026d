import { mutation } from '@silo/log/test/support.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import type { Call, Caller } from '../call.ts';

/** A call by this caller, as a handler receives it; `options` are those of its mutation. */
export function testCall(caller: Caller, options?: Parameters<typeof mutation>[0]): Call {
  return {
    ...mutation(options),
    ...{ method: '/test/Test', caller, remainingMs: () => 30_000, log: silentLogger() },
  };
}
