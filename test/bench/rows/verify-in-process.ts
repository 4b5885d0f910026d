import { startForked } from '../../harness/forked.ts';
import type { Bench } from '../bench-servers.ts';
import type { Measured, Row } from '../row.ts';
import type { VerifierOptions } from '../verifier.ts';

/**
 * Calls per second of one core that a guard's `verifyToken` answers in the process of the caller,
 * all from memory. Each call has a new string that was never looked up before, like a token from
 * the network, and every answer is checked after the clock has stopped. The goal is a rate; the
 * floor is a bare Map with the same number of tokens. In a separate process, because a million
 * tokens on the heap would slow down later rows.
 */
export const verifyInProcess: readonly Row[] = [
  row('verify-in-process-1', 1),
  row('verify-in-process', 1_000),
  row('verify-in-process-1000000', 1_000_000),
];

function row(name: string, tokens: number): Row {
  return {
    name,
    unit: 'calls/s',
    goal: { of: 'value', atLeast: 1_000_000 },
    about: `verifyToken from a guard's memory, in process, ${tokens} tokens cached; floor: a bare Map of as many`,
    run: (bench) => measure(bench, tokens),
  };
}

async function measure(bench: Bench, tokens: number): Promise<Measured> {
  const options: VerifierOptions = { nats: await bench.nats(), tokens };
  await using verifier = await startForked<Measured>(
    new URL('../verifier.ts', import.meta.url),
    options,
  );
  return verifier.ready;
}
