import { Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import test from 'ava';
import { isFoundBy, type MigratedAway, namesOfMigrated, stillAway } from '../migrated-projects.ts';

const { MIGRATION_STATE_DONE: done, MIGRATION_STATE_COPYING: copying } = MigrationState;

/** A migration of the project on a day of January from one region to another. */
function on(
  day: number,
  [from, to]: [string, string],
  state: MigrationState = done,
  projectId = 'prj_1',
) {
  const finishTime = new Date(Date.UTC(2027, 0, day));
  return {
    migration: Migration.fromPartial({
      ...{ id: `mig_us_${day}`, projectId, projectName: 'Web', state, finishTime },
      ...{ sourceRegion: from, destinationRegion: to },
    }),
    organizationName: 'Example',
  };
}

const away = on(1, ['us', 'eu']);
const back = on(2, ['eu', 'us']);

const histories: [what: string, all: MigratedAway[], ids: string[]][] = [
  ['that has left', [away], ['mig_us_1']],
  ['that has come back', [back, away], []],
  ['that has left again', [away, on(3, ['us', 'eu']), back], ['mig_us_3']],
  ['that is on its way', [on(1, ['us', 'eu'], copying)], []],
  ['that is on its way back', [away, on(2, ['eu', 'us'], copying)], ['mig_us_1']],
  ['beside another', [back, away, on(3, ['us', 'eu'], done, 'prj_2')], ['mig_us_3']],
];

for (const [what, all, ids] of histories) {
  test(`the latest migration decides whether a project is in another region: one ${what}`, (t) => {
    t.deepEqual(
      stillAway(all, 'us').map(({ migration }) => migration.id),
      ids,
    );
  });
}

test('a migrated project is found like the others, by a part of its name or organization', (t) => {
  t.deepEqual(namesOfMigrated(away), ['Web', 'Example/Web']);
  t.deepEqual(
    ['', 'we', 'EXAM', 'shop'].map((query) => isFoundBy(query)(away)),
    [true, true, true, false],
  );
});
