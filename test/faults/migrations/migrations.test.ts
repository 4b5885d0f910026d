/**
 * Migrations while processes, servers and the link between two regions fail: posthog-node loses no
 * event, none is stored twice, and no two regions accept events at the same time.
 */
import test, { type ExecutionContext } from 'ava';
import { invariantsHold } from '../../invariants.ts';
import { type FaultRegions, makeRegionsWhole, startFaultRegions } from './fault-regions.ts';
import { arrivalHangs, captureHangs, type Fault, faultsWith } from './faults.ts';
import type { MomentName } from './moments.ts';
import { faultsOf } from './outcome.ts';
import { type Run, runMigration } from './run-migration.ts';

let regions: FaultRegions;
test.before(async () => {
  regions = await startFaultRegions();
});
test.beforeEach(() => makeRegionsWhole(regions));
test.after.always(() => regions?.[Symbol.asyncDispose]());

const events = 1_500;
/**
 * More than one step of a copy transfers: the remaining work is limited, and continues during a
 * fault.
 */
const slowEvents = 4_500;
const faults = faultsWith({ sets: false });

/** A fault by name, its beginning, and its length: milliseconds, or until a moment. */
type Case = [what: string, at: MomentName, until?: Run['until']];

const cases: Case[] = [
  ['project is killed at the destination', 'copying'],
  ['project is killed at the source', 'copying'],
  ['mongod is killed at the destination', 'scanned'],
  ['project is killed at the destination', 'held'],
  ['project is killed at the source', 'held'],
  ['the link is cut at the source', 'held', 1_000],
  ['mongod is killed at the source', 'fenced'],
  ['the link is cut at the source', 'arrived', 1_000],
  ['an edge is killed at the source', 'committed'],
  ['project is killed at the destination', 'committed'],
];

for (const [what, at, until = 0] of cases) {
  test.serial(
    `${what}, ${at}: no event is lost or stored twice, and one region accepts events`,
    (t) => runsRight(t, { at, until, fault: faultNamed(what) }),
  );
}

test.serial('a capture that hangs past its permit is stored once, in the other region', (t) =>
  runsRight(t, { fault: captureHangs(), at: 0, until: 'activated' }),
);

test.serial(
  'forwarded captures are not refused while the destination’s guards do not know the project',
  (t) => runsRight(t, { fault: arrivalHangs(), at: 0, until: 'activated' }),
);

test.serial('after all faults the invariants hold in both regions', async (t) => {
  const { us, eu } = regions;
  await invariantsHold(t, us);
  await invariantsHold(t, eu);
  t.deepEqual([...us.failures, ...eu.failures], []);
});

async function runsRight(
  t: ExecutionContext,
  run: Pick<Run, 'fault' | 'at' | 'until'>,
): Promise<void> {
  const { us: from, eu: to } = regions;
  const count = run.at === 'copying' ? slowEvents : events;
  const outcome = await runMigration({ ...run, from, to, events: count });
  const { attempts, holdsMs, sent, givenUp } = outcome;
  t.log(attempts, 'attempts, held', holdsMs, 'ms', sent, 'events sent', givenUp);
  t.deepEqual(faultsOf(outcome), []);
}

function faultNamed(what: string): Fault {
  const fault = faults.find((each) => each.what === what);
  if (fault === undefined) throw new RangeError(what);
  return fault;
}
