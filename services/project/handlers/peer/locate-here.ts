import { errors } from '@silo/errors/errors.ts';
import type {
  LocateHereRequest,
  LocateHereResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import type { Peers } from '@silo/service/peers.ts';
import { regionOfProject } from '../../rules/project-region.ts';
import type { MigrationStore } from '../../store/migrations.ts';
import type { ProjectStore } from '../../store/projects.ts';

const hashBytes = 32;

export type LocateHereDependencies = {
  /** This region. */
  region: string;
  projects: Pick<ProjectStore, 'fact'>;
  migrations: Pick<MigrationStore, 'findOpen'>;
  peers: { token: { directory: Pick<Peers['token']['directory'], 'findTokenProjects'> } };
};

/** LocateHere: by the records of this region alone. */
export async function locateHere(
  request: LocateHereRequest,
  { signal }: Pick<Call, 'signal'>,
  { region, projects, migrations, peers }: LocateHereDependencies,
): Promise<LocateHereResponse> {
  requireOne(request);
  const { projectId = '' } =
    request.projectId === '' ? await projectOf(request.tokenHash, peers, signal) : request;
  if (projectId === '') return { region: '', projectId };
  const [project, migration] = await Promise.all([
    projects.fact(projectId, signal),
    migrations.findOpen(projectId, signal),
  ]);
  const found = regionOfProject(region, project, migration);
  return found === undefined ? { region: '', projectId: '' } : { region: found, projectId };
}

async function projectOf(
  tokenHash: Buffer,
  { token }: LocateHereDependencies['peers'],
  signal: AbortSignal,
): Promise<{ projectId?: string }> {
  const { tokens } = await token.directory.findTokenProjects(
    { tokenHashes: [tokenHash] },
    { signal },
  );
  return tokens[0] ?? {};
}

function requireOne({ projectId, tokenHash }: LocateHereRequest): void {
  const isOne = projectId === '' ? tokenHash.length === hashBytes : tokenHash.length === 0;
  if (isOne) return;
  const description = 'must be set, or token_hash of 32 bytes, but not both';
  throw errors.invalidField([{ field: 'project_id', description }]);
}
