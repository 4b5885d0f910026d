import { Bare, sequence } from '../bare.ts';
import type { Bench } from '../bench-servers.ts';
import { Live } from '../live.ts';
import { compareLatencies, type Operation } from '../measure.ts';
import { type Measured, milliseconds, type Row } from '../row.ts';
import { createTenant, type Tenant } from '../tenant.ts';

/**
 * `CreateProject` over public gRPC, one call after another: the median. The floor, one after
 * another: two majority transactions that write the same number of documents: those of project's
 * decision (slots, project, the saga's record, outbox), and those of the token (its state, its
 * fact, outbox). The access of the caller is known from memory.
 */
export const createProject: readonly Row[] = [
  row('create-project', 10),
  row('create-project-10000', 10_000),
];

function row(name: string, projects: number): Row {
  return {
    name,
    unit: 'ms',
    goal: { of: 'ratio', atMost: 2.5 },
    about: `CreateProject with ${projects} projects in the organization, p50; floor: two bare transactions that write four and three documents, one after another`,
    run: (bench) => measure(bench, name, projects),
  };
}

async function measure(bench: Bench, name: string, projects: number): Promise<Measured> {
  const silo = await bench.silo();
  await using live = new Live(silo);
  await using bare = await Bare.open(silo.endpoints.mongodb, `bench-floor-${name}`);
  using tenant = await createTenant(silo, live, { projects });
  let created = 0;
  const create = async (): Promise<string> => {
    created++;
    const { project } = await tenant.projects.createProject({
      organizationId: tenant.organizationIds[0],
      name: `Created ${created}`,
      settings: undefined,
      requestId: '',
    });
    if (project === undefined) throw new TypeError('the answer holds no project');
    return project.id;
  };
  const floor = await bareCreate(live, bare, tenant, await create());
  return milliseconds(await compareLatencies({ floor, measured: create }, { rounds: 40 }));
}

async function bareCreate(
  live: Live,
  bare: Bare,
  { organizationIds }: Tenant,
  projectId: string,
): Promise<Operation> {
  const slots = await live.find('project', 'slots', { _id: organizationIds[0] });
  const project = await live.find('project', 'projects', { _id: projectId });
  const saga = await live.find('project', 'sagas', { 'data.projects._id': projectId });
  const created = await live.outboxGroup('project', ['created'], projectId);
  const state = await live.find('token', 'projects', { _id: projectId });
  const fact = await live.find('token', 'project_tokens', { projectId });
  const tokenCreated = await live.outboxGroup('token', ['created'], projectId);
  return sequence([
    await bare.transaction([
      { kind: 'change', collection: 'slots', sample: slots },
      { kind: 'add', collection: 'projects', sample: project },
      { kind: 'add', collection: 'sagas', sample: saga },
      { kind: 'add', collection: 'outbox', sample: created },
    ]),
    await bare.transaction([
      { kind: 'add', collection: 'token-projects', sample: state },
      { kind: 'add', collection: 'tokens', sample: fact },
      { kind: 'add', collection: 'token-outbox', sample: tokenCreated },
    ]),
  ]);
}
