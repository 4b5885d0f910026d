import { mutation } from '@silo/log/test/support.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import type { Call, Caller } from '../call.ts';

/** A call by this caller, as a handler gets it; `options` are those of the mutation that it is. */
export function testCall(caller: Caller, options?: Parameters<typeof mutation>[0]): Call {
  return {
    ...mutation(options),
    ...{ method: '/test/Test', caller, remainingMs: () => 30_000, log: silentLogger() },
  };
}
