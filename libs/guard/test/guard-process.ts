/** A process with a guard, for tests that stop and kill it. It answers each token on its input. */
import { createInterface } from 'node:readline';
import { createGuard } from '../create-guard.ts';

const options = JSON.parse(process.argv[2] ?? '{}');
await using guard = createGuard(options);
for await (const token of createInterface({ input: process.stdin })) {
  const known = guard.verifyToken(token);
  const by = known instanceof Promise ? 'owners' : 'memory';
  const answer = await Promise.resolve(known).catch(() => undefined);
  console.log(answer === undefined ? 'unavailable' : `${answer.allowed} by ${by}`);
}
