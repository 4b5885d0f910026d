import { type Case, World } from './cases.ts';
import { type Certificates, Deployment } from './deployment.ts';
import { type Command, GuardUnderTest } from './guard-under-test.ts';

type Options = { natsUrl: string; certificates: Certificates; command: Command };

/** Runs one case on a deployment and a guard process of its own. Rejects where a rule is broken. */
export async function runCase({ run }: Case, options: Options): Promise<void> {
  await using deployment = await Deployment.start(options.natsUrl, options.certificates);
  await using guard = new GuardUnderTest(options.command, deployment.environment);
  await run(new World(deployment, guard));
}
