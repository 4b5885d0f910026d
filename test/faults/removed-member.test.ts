/** A member removed while a hundred of its mutations are in flight: afterwards none is decided. */
import test from 'ava';
import { invariantsHold } from '../invariants.ts';
import { type FaultSilo, startFaultSilo } from './fault-silo.ts';
import { type Round, removeDuring, setStage } from './removal-race.ts';

const rounds = Number(process.env.REMOVAL_ROUNDS ?? 4);

async function race(silo: FaultSilo, roundsMax: number): Promise<Round[]> {
  const stage = await setStage(silo);
  const raced: Round[] = [];
  for (let round = 0; round < roundsMax; round++) raced.push(await removeDuring(silo, stage));
  return raced;
}

test.serial(
  'after RemoveMember has returned, nothing is decided for who was removed',
  async (t) => {
    await using silo = await startFaultSilo();
    const raced = await race(silo, rounds);
    t.log(raced);
    t.deepEqual(
      raced.flatMap(({ late }) => late),
      [],
    );
    for (const { decided, refused } of raced) t.true(decided > 0 && refused > 0);
    await invariantsHold(t, silo);
  },
);
