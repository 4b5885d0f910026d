// Runs for `npm run demo`: the demo, on a real Silo over public gRPC.
import { listen } from './broadcast.ts';
import { readActivity } from './chapters/activity.ts';
import { captureEvents } from './chapters/capture.ts';
import { downgrade } from './chapters/downgrade.ts';
import { hitFreeLimit } from './chapters/free-limit.ts';
import { invite } from './chapters/invite.ts';
import { moveAway } from './chapters/move.ts';
import { refuseMoves } from './chapters/refused-moves.ts';
import { regenerateToken } from './chapters/regenerate-token.ts';
import { signUp } from './chapters/sign-up.ts';
import { upgrade } from './chapters/upgrade.ts';
import { createNarrator, StepFailed } from './narrator.ts';
import { openSilo } from './silo.ts';
import type { Stage } from './stage.ts';
import { openWires } from './wires.ts';

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => stop.abort(new Error(`stopped by ${name}`)));
}
const log = (line: string) => console.log(line);

try {
  await using silo = await openSilo({ log, signal: stop.signal });
  await using broadcast = await listen(silo.endpoints, stop.signal);
  using wires = openWires(silo.endpoints, stop.signal);
  const narrator = createNarrator({
    write: (text) => process.stdout.write(text),
    colour: process.stdout.isTTY && !process.env.NO_COLOR,
    broadcast,
    signal: stop.signal,
    failure: silo.failure,
  });
  const { region, edge } = silo.endpoints;
  await run({ narrator, wires, region, edge });
  log(`\nThat is the whole story: ${narrator.stepCount()} steps, each checked.`);
} catch (error) {
  process.exitCode = 1;
  if (error instanceof StepFailed)
    console.error(`\nThe demo failed at “${error.step}”: ${error.message}`);
  else console.error(`\nThe demo failed: ${error instanceof Error ? error.message : error}`);
}

async function run(stage: Stage): Promise<void> {
  const cast = await signUp(stage);
  await captureEvents(stage, cast);
  await regenerateToken(stage, cast);
  const second = await hitFreeLimit(stage, cast);
  const projects = await upgrade(stage, cast, second);
  await invite(stage, cast, projects);
  const moveIds = await moveAway(stage, cast, projects);
  await refuseMoves(stage, cast, projects);
  await downgrade(stage, cast, projects);
  await readActivity(stage, cast, moveIds);
}
