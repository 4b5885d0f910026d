import { beside } from './beside.ts';
import type { Cli } from './cli.ts';
import { endedBlocks, isOver } from './render/migrations.ts';
import type { Block } from './text.ts';

/**
 * Shows people which migrations to another region end when these projects are deleted or moved.
 * Empty if that cannot be read.
 */
export async function endedMigrations(
  cli: Cli,
  organizationId: string,
  projectIds: readonly string[],
): Promise<Block[]> {
  const { api } = await cli.signedIn();
  const read = async (signal: AbortSignal) => {
    const request = { organizationId, pageSize: 1_000, pageToken: '' };
    return (await api.migrations.listMigrations(request, { signal })).migrations;
  };
  const listed = await beside(read, [], cli);
  const ids = new Set(projectIds);
  return endedBlocks(
    listed.filter(
      (each) =>
        ids.has(each.projectId) && each.sourceOrganizationId === organizationId && !isOver(each),
    ),
  );
}
