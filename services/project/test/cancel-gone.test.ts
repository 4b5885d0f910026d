import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { cancellingGone } from '../loops/cancel-gone.ts';
import type { MigrationDocument, ProjectDocument } from '../store/documents.ts';
import { migrationCollection } from '../store/migrations.ts';
import { offered } from './migration-support.ts';

const { MIGRATION_STATE_REQUESTED: requested, MIGRATION_STATE_CANCELLED: cancelled } =
  MigrationState;
const { MIGRATION_STATE_COPYING: copying, MIGRATION_STATE_DONE: done } = MigrationState;
const deleted = 'The project was deleted.';
const moved = 'The project was moved to another organization.';

test('a migration of a project that was deleted or moved is cancelled, whether the other region calls or not', async (t) => {
  const { db, dependencies, migration } = await offered(t);
  const records = migrationCollection(db);
  const projects = db.collection<ProjectDocument>('projects');
  const project = await projects.findOne({ _id: migration.projectId });
  if (project === null) throw new TypeError('there is no project');
  const other = { organizationId: newId('org_us') };
  const away = { ...other, state: ProjectState.PROJECT_STATE_MIGRATED };
  const cases: [Partial<ProjectDocument> | undefined, Partial<MigrationDocument>, object][] = [
    [{ state: ProjectState.PROJECT_STATE_DELETED }, { state: requested }, { failure: deleted }],
    [undefined, { state: requested }, { failure: deleted }],
    [other, { state: requested }, { failure: moved }],
    [other, { state: copying }, { failure: moved }],
    [{}, { state: requested }, { state: requested, isOpen: true }],
    [away, { state: done, isPurging: true }, { state: done, isOpen: true }],
  ];
  const over = { state: cancelled, isOpen: undefined };
  const expected = [];
  for (const [values, state, end] of cases) {
    const ids = { _id: newId('mig_us'), projectId: newId('prj') };
    await records.insertOne({ ...migration, ...ids, ...state });
    if (values) await projects.insertOne({ ...project, _id: ids.projectId, ...values });
    expected.push({ _id: ids._id, ...('failure' in end && over), ...end });
  }
  await cancellingGone(dependencies)(AbortSignal.timeout(600_000));
  for (const { _id, ...values } of expected) t.like(await records.findOne({ _id }), values);
});

test('a migration whose project has come back before its cancellation continues', async (t) => {
  const { db, dependencies, migration } = await offered(t);
  const migratingProjects = { ...dependencies.migratingProjects, findMany: async () => new Map() };
  await cancellingGone({ ...dependencies, migratingProjects })(AbortSignal.timeout(600_000));
  const record = await migrationCollection(db).findOne({ _id: migration._id });
  t.like(record, { state: migration.state, isOpen: true });
});
