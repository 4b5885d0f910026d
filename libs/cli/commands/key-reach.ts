import type { Find } from '../find.ts';

/** The ids of the organizations and projects that a key shall be restricted to. */
export async function reachOf(
  find: Find,
  { org = [], project = [] }: { org?: string[] | undefined; project?: string[] | undefined },
): Promise<{ organizationIds: string[]; projectIds: string[] }> {
  const organizations = await Promise.all(org.map((each) => find.organization(each)));
  const projects = await Promise.all(project.map((each) => find.project(each)));
  return {
    organizationIds: organizations.map(({ id }) => id),
    projectIds: projects.map(({ id }) => id),
  };
}
