/**
 * A member is removed while a hundred of its mutations are in progress: afterwards none is decided.
 */
import { join } from 'node:path';
import test from 'ava';
import { invariantsHold } from '../invariants.ts';
import { type FaultSilo, startFaultSilo } from './fault-silo.ts';
import { type Round, removeDuring, setStage } from './removal-race.ts';

const rounds = 4;
const withoutPermits = join(import.meta.dirname, 'service-with-unheld-permits.ts');

async function race(
  silo: FaultSilo,
  until: (raced: Round[]) => boolean,
  slowness: { commitMs?: number } = {},
): Promise<Round[]> {
  const stage = await setStage(silo);
  const raced: Round[] = [];
  while (!until(raced)) raced.push(await removeDuring(silo, stage, slowness));
  return raced;
}

test.serial(
  'after RemoveMember has returned, nothing is decided for a removed member',
  async (t) => {
    await using silo = await startFaultSilo();
    // A round in which all were answered before the removals shows nothing.
    const shows = ({ refused }: Round) => refused > 0;
    const raced = await race(
      silo,
      (until) => until.filter(shows).length >= rounds || until.length >= 10 * rounds,
    );
    t.log(raced);
    t.deepEqual(
      raced.flatMap(({ late }) => late),
      [],
    );
    t.true(raced.every(({ decided }) => decided > 0));
    t.true(raced.filter(shows).length >= rounds);
    await invariantsHold(t, silo);
  },
);

test.serial(
  'nothing is decided late even if a commit takes almost as long as a permit lasts',
  async (t) => {
    await using silo = await startFaultSilo();
    const raced = await race(silo, (until) => until.length >= rounds, { commitMs: 1_200 });
    t.log(raced);
    t.deepEqual(
      raced.flatMap(({ late }) => late),
      [],
    );
    t.true(raced.every(({ decided }) => decided > 0));
    t.true(raced.some(({ refused }) => refused > 0));
  },
);

test.serial('without permits, a late commit is detected', async (t) => {
  await using silo = await startFaultSilo({ main: withoutPermits });
  const raced = await race(
    silo,
    (until) => until.length >= 20 || (until.at(-1)?.late.length ?? 0) > 0,
  );
  t.log(raced);
  t.true(raced.some(({ late }) => late.length > 0));
});
