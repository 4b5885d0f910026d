import { setTimeout as pause } from 'node:timers/promises';
import type { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import anyTest, { type SerialFn, type TestFn } from 'ava';
import { ulid } from 'ulid';
import { billingDetails } from '../authorization/world.ts';
import { certificate } from '../harness/certificates.ts';
import type { PublicApi } from '../harness/clients.ts';
import { eventually } from '../harness/eventually.ts';
import { outcomes } from '../harness/refusals.ts';
import { startTestSilo, type TestSilo } from '../harness/silo.ts';
import { invariantsHold } from '../invariants.ts';
import { choosePlan, present } from './choose-plan.ts';

export { billingDetails, choosePlan, present };

export type ScenarioContext = { silo: TestSilo };

/**
 * Ava's test, with one Silo for the whole file, whose invariants must hold at the end. Tests run
 * one after another: all at once would take two cores longer than the calls' deadlines allow.
 */
export function scenarios(start = () => startTestSilo()): SerialFn<ScenarioContext> {
  const test = (anyTest as TestFn<ScenarioContext>).serial;
  test.before(async (t) => {
    t.context = { silo: await start() };
  });
  test.after('the invariants hold', (t) => invariantsHold(t, t.context.silo));
  test.after('no permit is left', async (t) => {
    const { permits } = t.context.silo;
    // A call whose client has disconnected may still be in progress.
    await eventually(() => {
      if (permits.held > 0) throw new Error(`${permits.held} of ${permits.taken} are held`);
    });
    t.pass();
  });
  test.after.always((t) => t.context.silo?.[Symbol.asyncDispose]());
  return test;
}

/** Creates a project as the caller of `api`. */
export async function createProject(
  api: PublicApi,
  organizationId: string,
  { name = 'Project', requestId = '' } = {},
): Promise<Project> {
  const settings = undefined;
  const created = await api.projects.createProject({ organizationId, name, settings, requestId });
  return present(created.project);
}

/** Creates a further organization of the caller, with its Default Project. */
export async function createOrganization(
  api: PublicApi,
  name = 'Further',
): Promise<{ organizationId: string; projectId: string; projectToken: string }> {
  const { organization, ...rest } = await api.organizations.createOrganization({
    name,
    requestId: '',
  });
  return { organizationId: present(organization).id, ...rest };
}

/** The names of an organization's projects, as the caller of `api` sees them. */
export async function projectNames(api: PublicApi, organizationId: string): Promise<string[]> {
  const page = { pageSize: 0, pageToken: '' };
  const { projects } = await api.projects.listProjects({
    organizationId,
    showDeleted: false,
    ...page,
  });
  return projects.map(({ name }) => name);
}

/** Moves a project as it is now. */
export function moveProject(
  api: PublicApi,
  projectId: string,
  destinationOrganizationId: string,
  requestId = '',
) {
  const ends = { projectId, destinationOrganizationId };
  return api.projects.moveProject({ ...ends, etag: '', requestId, planFingerprint: '' });
}

/** The default page request. */
export const firstPage = { pageSize: 0, pageToken: '' };

/** Whether a key is still live. */
export async function isLive(silo: TestSilo, apiKey: string): Promise<boolean> {
  const [outcome] = await outcomes([silo.as(apiKey).accounts.getAccount({})]);
  return outcome !== 'TOKEN_INVALID';
}

/** A guard for which barriers wait: it holds its lease and acknowledges nothing. */
export type SilentGuard = AsyncDisposable & {
  /** Releases its lease: barriers do not wait for it any more. */
  release(): Promise<void>;
  /** Lets its lease expire. */
  stop(): Promise<void>;
};

/** Adds a silent guard: a barrier waits for it as long as a lease lasts. */
export async function addSilentGuard(silo: TestSilo): Promise<SilentGuard> {
  const { registry } = silo.internal(certificate('guard-edge')).token;
  const leaseId = ulid().toLowerCase();
  await registry.acquire({ leaseId, guardName: 'silent' });
  const over = new AbortController();
  const renew = async () => {
    while (!over.signal.aborted) {
      await registry.renew({ leaseId, applied: [], acknowledged: [] });
      await pause(500, undefined, over).catch(() => {});
    }
  };
  const renewing = renew();
  renewing.catch(() => {}); // the caller of stop gets the error
  const stop = async () => {
    over.abort();
    await renewing;
  };
  const release = async () => {
    await stop();
    await registry.release({ leaseId });
  };
  return { release, stop, [Symbol.asyncDispose]: release };
}
