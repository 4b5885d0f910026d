/** The `silo` command while a process that it is connected to is paused. */
import test, { type ExecutionContext } from 'ava';
import { type CliHome, openCliHome } from '../harness/cli.ts';
import type { SignedUp } from '../harness/clients.ts';
import { eventually } from '../harness/eventually.ts';
import { keys } from '../harness/terminal.ts';
import { type FaultSilo, makeWhole, pause, startFaultSilo } from './fault-silo.ts';

let silo: FaultSilo;
test.before(async () => {
  silo = await startFaultSilo();
});
test.afterEach.always(() => makeWhole(silo));
test.after.always(() => silo?.[Symbol.asyncDispose]());

/** A CLI home with a signed-in user. */
async function signedIn(t: ExecutionContext): Promise<{ cli: CliHome; person: SignedUp }> {
  const urls = { mongodb: silo.mongod.url, nats: silo.natsServer.urlOf('subscriber') };
  const cli = await openCliHome(silo.addresses, silo.certificates.staff, urls);
  t.teardown(async () => cli[Symbol.asyncDispose]());
  const person = await silo.signUp('Ada');
  await eventually(() => cli.json(['login', '--dev'], person.apiKey));
  return { cli, person };
}

test.serial('a command that waits for a paused service ends at a signal', async (t) => {
  const { cli } = await signedIn(t);
  pause(silo, 'project');
  const terminal = cli.inTerminal(['projects']);
  await terminal.sees('Waiting for the answer');
  terminal.type(keys.ctrlC);
  t.is(await terminal.ended, 130, terminal.screen());
  t.regex(terminal.screen(), /Stopped/);
});

test.serial('a new token is shown while the service with the names is paused', async (t) => {
  const { cli, person } = await signedIn(t);
  const { projectId } = person;
  // So that the token service remembers the caller.
  const { projectToken: old } = await person.api.projectTokens.getProjectToken({ projectId });
  pause(silo, 'project');
  const { code, output, errors } = await cli.run(['token', 'regenerate', projectId, '--yes']);
  t.is(code, 0, errors);
  t.regex(output, /phc_\w+/);
  t.false(output.includes(String(old?.token)));
  t.true(output.includes(projectId));
});

test.serial('doctor ends after its answer while NATS is paused', async (t) => {
  const { cli } = await signedIn(t);
  silo.natsServer.signal('SIGSTOP');
  const { code, output } = await cli.run(['doctor', '--dev', '--json']);
  t.is(code, 8);
  t.regex(output, /nats-unreachable/);
});
