// Runs for `npm run demo:regions`: a project migrates between two whole deployments, and back.
import { createNarrator, StepFailed } from './narrator.ts';
import { openRegions } from './regional/open-regions.ts';
import { migrateBetweenRegions } from './regional/story.ts';
import { openWires } from './wires.ts';

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => stop.abort(new Error(`stopped by ${name}`)));
}
const log = (line: string) => console.log(line);

try {
  log('Starting two regions, each with its own MongoDB, NATS, services and edge:');
  await using regions = await openRegions({ log, signal: stop.signal });
  using us = openWires(regions.us, stop.signal);
  using eu = openWires(regions.eu, stop.signal);
  const narrator = createNarrator({
    write: (text) => process.stdout.write(text),
    colour: process.stdout.isTTY && !process.env.NO_COLOR,
    signal: stop.signal,
    failure: regions.failure,
  });
  await migrateBetweenRegions({
    us: { narrator, wires: us, region: regions.us.region, edge: regions.us.edge },
    eu: { narrator, wires: eu, region: regions.eu.region, edge: regions.eu.edge },
  });
  log(`\nThat is the whole story: ${narrator.stepCount()} steps, each checked.`);
} catch (error) {
  process.exitCode = 1;
  if (error instanceof StepFailed)
    console.error(`\nThe demo failed at “${error.step}”: ${error.message}`);
  else console.error(`\nThe demo failed: ${error instanceof Error ? error.message : error}`);
}
