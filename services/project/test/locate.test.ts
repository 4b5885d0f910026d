import { errors } from '@silo/errors/errors.ts';
import { reasonOf } from '@silo/errors/from-status.ts';
import type { LocateHereRequest } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { Call } from '@silo/rpc/call.ts';
import { newId } from '@silo/tokens/ids.ts';
import { hashOf } from '@silo/tokens/secrets.ts';
import test from 'ava';
import { type LocateDependencies, locateProject } from '../handlers/internal/locate.ts';
import { locateHere } from '../handlers/peer/locate-here.ts';
import { regionOfProject } from '../rules/project-region.ts';
import { createMigrationStore } from '../store/migrations.ts';
import { testWorld } from './support.ts';

const {
  PROJECT_STATE_ACTIVE: active,
  PROJECT_STATE_DELETED: deleted,
  PROJECT_STATE_MIGRATING: migrating,
  PROJECT_STATE_MIGRATED: migrated,
} = ProjectState;

test('a project is where its record says; during a cutover it is still at the source', (t) => {
  const migratedTo = { region: 'eu', organizationId: 'org_eu_1' };
  const source = { side: 'source', sourceRegion: 'us' } as const;
  const destination = { side: 'destination', sourceRegion: 'eu' } as const;
  const rows = [
    [undefined, undefined, undefined],
    [active, undefined, 'us'],
    [active, source, 'us'],
    [deleted, undefined, 'us'],
    [migrating, source, 'us'],
    [migrating, destination, 'eu'],
    [migrated, source, 'eu'],
    [7 as ProjectState, undefined, undefined],
  ] as const;
  for (const [state, migration, region] of rows) {
    const project =
      state === undefined
        ? undefined
        : { state, migratedTo: state === migrated ? migratedTo : undefined };
    t.is(regionOfProject('us', project, migration), region, `${state} ${migration?.side}`);
  }
});

const empty = Buffer.alloc(0);
const byId = (projectId: string) => ({ projectId, tokenHash: empty });
const byToken = (token: string) => ({ projectId: '', tokenHash: hashOf(token) });
const nowhere = { region: '', projectId: '' };

test('a project or its token is found in this region, or else in another one', async (t) => {
  const world = await testWorld(t);
  const { projectId } = await world.organization(world.key());
  const [far, unknown] = [newId('prj'), newId('prj')];
  const call = { signal: AbortSignal.timeout(600_000) } as Call;
  const asked: string[] = [];
  let euAnswers = true;
  const dependencies: LocateDependencies = {
    region: 'us',
    projects: world.projects,
    migrations: createMigrationStore(world.db),
    peers: {
      token: {
        directory: {
          findTokenProjects: async ({ tokenHashes: [tokenHash] }) => ({
            tokens: tokenHash?.equals(hashOf('near')) ? [{ tokenHash, projectId }] : [],
          }),
        },
      },
    },
    regions: new Map([
      [
        'eu',
        {
          locateHere: async ({ projectId: id, tokenHash }: LocateHereRequest) => {
            asked.push('eu');
            if (!euAnswers) throw errors.dependencyUnavailable('eu');
            const isThere = id === far || tokenHash.equals(hashOf('far'));
            return isThere ? { region: 'eu', projectId: far } : nowhere;
          },
        },
      ],
      ['ap', { locateHere: async () => nowhere }],
    ]),
  };
  const locate = (request: Parameters<typeof locateProject>[0]) =>
    locateProject(request, call, dependencies);
  t.deepEqual(await locate(byId(projectId)), { region: 'us', projectId });
  t.deepEqual(await locate(byToken('near')), { region: 'us', projectId });
  t.deepEqual(asked, []);
  t.deepEqual(await locate(byId(far)), { region: 'eu', projectId: far });
  t.deepEqual(await locate(byToken('far')), { region: 'eu', projectId: far });
  t.deepEqual(await locateHere(byId(far), call, dependencies), nowhere);
  const refusedAs = async (request: Parameters<typeof locateProject>[0]) =>
    reasonOf(await t.throwsAsync(locate(request)));
  t.is(await refusedAs(byId(unknown)), 'PROJECT_NOT_FOUND');
  t.is(await refusedAs(byId('')), 'INVALID_FIELD');
  t.is(await refusedAs({ ...byToken('near'), projectId }), 'INVALID_FIELD');
  euAnswers = false;
  t.is(await refusedAs(byId(unknown)), 'DEPENDENCY_UNAVAILABLE');
  t.deepEqual(await locate(byId(projectId)), { region: 'us', projectId });
});
