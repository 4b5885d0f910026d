import { bareName } from '@silo/protos/enum-name.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import test from 'ava';
import {
  isFinished,
  isOver,
  type MigrationSide,
  mayBecome,
  requireMayBecome,
  statesBefore,
} from '../rules/migration-states.ts';
import { refusalOf } from './support.ts';

const states = Object.values(MigrationState).filter((state) => state > 0);
const name = (state: MigrationState) => bareName(MigrationState, state);

/** The table once more, written by hand. */
const expected: Record<MigrationSide, Record<string, string>> = {
  source: {
    REQUESTED: 'ACCEPTED COPYING VERIFYING CANCELLED FAILED',
    ACCEPTED: 'COPYING VERIFYING CUTOVER CANCELLED FAILED',
    COPYING: 'VERIFYING CUTOVER CANCELLED FAILED',
    VERIFYING: 'COPYING CUTOVER CANCELLED FAILED',
    CUTOVER: 'VERIFYING DONE',
    DONE: '',
    CANCELLED: '',
    FAILED: 'COPYING VERIFYING CUTOVER CANCELLED',
  },
  destination: {
    REQUESTED: '',
    ACCEPTED: 'COPYING CANCELLED',
    COPYING: 'VERIFYING CANCELLED FAILED',
    VERIFYING: 'COPYING CUTOVER CANCELLED FAILED',
    CUTOVER: 'VERIFYING DONE',
    DONE: '',
    CANCELLED: '',
    FAILED: 'COPYING CANCELLED',
  },
};

for (const side of ['source', 'destination'] as const) {
  test(`a record of the ${side} makes only the state changes of the table`, (t) => {
    for (const from of states) {
      const next = states.filter((to) => mayBecome(side, from, to)).map(name);
      t.is(next.join(' '), expected[side][name(from)] ?? 'unknown', name(from));
    }
    for (const to of states) {
      const before = states.filter((from) => mayBecome(side, from, to));
      t.deepEqual(statesBefore(side, to).sort(), before.sort(), name(to));
    }
  });
}

test('DONE and CANCELLED are final; FAILED continues only by a retry', (t) => {
  t.deepEqual(states.filter(isOver).map(name), ['DONE', 'CANCELLED']);
  t.deepEqual(states.filter(isFinished).map(name), ['DONE', 'CANCELLED', 'FAILED']);
});

test('a refused change names the state of the migration', async (t) => {
  const state = MigrationState.MIGRATION_STATE_CUTOVER;
  const record = { _id: 'mig_us_1', side: 'source', state } as const;
  const cancel = async () => requireMayBecome(record, MigrationState.MIGRATION_STATE_CANCELLED);
  const { reasonName, metadata } = await refusalOf(cancel());
  t.deepEqual([reasonName, metadata.state], ['MIGRATION_STATE', 'CUTOVER']);
});
