import { Bare, sequence } from '../bare.ts';
import type { Bench } from '../bench-servers.ts';
import { Live } from '../live.ts';
import { compareLatencies, type Operation } from '../measure.ts';
import { type Measured, milliseconds, type Row } from '../row.ts';
import { createTenant, type Tenant } from '../tenant.ts';

/**
 * `MoveProject` over public gRPC, there and back between two organizations with the same number of
 * projects, one call after another: the median. The floor, one after another: a majority
 * transaction that writes the same number of documents (project, both slots, move, outbox), one
 * that sequences the event in the outbox, and a majority write (the requirement of guards). The
 * access of the caller is known from memory: the project is read before each move, which is not
 * measured.
 */
export const moveProject: readonly Row[] = [
  row('move-project', 10),
  row('move-project-10000', 10_000),
];

function row(name: string, projects: number): Row {
  return {
    name,
    unit: 'ms',
    goal: { of: 'ratio', atMost: 2 },
    about: `MoveProject with ${projects} projects in each organization, p50; floor: a bare transaction that writes five documents, a bare sequencing transaction and a bare majority write, one after another`,
    run: (bench) => measure(bench, name, projects),
  };
}

async function measure(bench: Bench, name: string, projectCount: number): Promise<Measured> {
  const silo = await bench.silo();
  await using live = new Live(silo);
  await using bare = await Bare.open(silo.endpoints.mongodb, `bench-floor-${name}`);
  using tenant = await createTenant(silo, live, { projects: projectCount });
  const measured = moving(tenant);
  await measured();
  const floor = await bareMove(live, bare, tenant);
  const { projects, projectId } = tenant;
  const before = () => projects.getProject({ projectId });
  return milliseconds(await compareLatencies({ floor, measured }, { before }));
}

/** Moves the tenant's project to the other organization. */
function moving({ projects, projectId, organizationIds }: Tenant): Operation {
  let moves = 0;
  return async () => {
    moves++;
    const destinationOrganizationId = organizationIds[moves % 2 === 1 ? 1 : 0];
    const ends = { projectId, destinationOrganizationId };
    await projects.moveProject({ ...ends, etag: '', requestId: '', planFingerprint: '' });
  };
}

async function bareMove(
  live: Live,
  bare: Bare,
  { projectId, organizationIds }: Tenant,
): Promise<Operation> {
  const [first, second] = organizationIds;
  const project = await live.find('project', 'projects', { _id: projectId });
  const source = await live.find('project', 'slots', { _id: first });
  const destination = await live.find('project', 'slots', { _id: second });
  const move = await live.find('project', 'moves', { projectIds: projectId });
  const outbox = await live.outboxGroup('project', ['moved'], projectId);
  const requirement = await live.find('token', 'requirements', {});
  return sequence([
    await bare.transaction([
      { kind: 'change', collection: 'projects', sample: project },
      { kind: 'change', collection: 'slots', sample: source },
      { kind: 'change', collection: 'slots', sample: destination },
      { kind: 'add', collection: 'moves', sample: move },
      { kind: 'add', collection: 'outbox', sample: outbox },
    ]),
    await bare.sequencing(await live.sequencing('project', 'moved', projectId)),
    await bare.write('requirements', requirement),
  ]);
}
