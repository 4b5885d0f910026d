import { type Case, World } from './cases.ts';
import { type Certificates, Deployment } from './deployment.ts';
import { type Command, GuardUnderTest } from './guard-under-test.ts';

type Options = { natsUrl: string; certificates: Certificates; command: Command };

/**
 * Runs one case with its own deployment and guard process. Rejects if the guard violates the rule.
 */
export async function runCase({ run }: Case, options: Options): Promise<void> {
  await using deployment = await Deployment.start(options.natsUrl, options.certificates);
  await using guard = new GuardUnderTest(options.command, deployment.environment);
  await run(new World(deployment, guard));
}
