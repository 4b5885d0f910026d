import type { ExecutionContext } from 'ava';
import { type CliHome, openCliHome } from '../harness/cli.ts';
import type { SignedUp } from '../harness/clients.ts';
import type { ScenarioContext } from './support.ts';

type Test = ExecutionContext<ScenarioContext>;

/** A home in which nobody is signed in. */
export async function emptyHome(t: Test): Promise<CliHome> {
  const home = await openCliHome(t.context.silo.addresses);
  t.teardown(async () => home[Symbol.asyncDispose]());
  return home;
}

/** Somebody who signed up, and has given the key to the command. */
export async function signedInHome(
  t: Test,
  name = 'Ada',
): Promise<{ cli: CliHome; person: SignedUp }> {
  const [cli, person] = await Promise.all([emptyHome(t), t.context.silo.signUp(name)]);
  await cli.json(['login', '--dev'], person.apiKey);
  return { cli, person };
}
