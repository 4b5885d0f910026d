import type { Tenant } from './tenant.ts';

const readAtOnce = 10;

/**
 * Makes the token service cache the access to these projects, so that later checks are from memory.
 */
export async function knowAll({ tokens }: Tenant, projectIds: readonly string[]): Promise<void> {
  for (let from = 0; from < projectIds.length; from += readAtOnce) {
    const some = projectIds.slice(from, from + readAtOnce);
    await Promise.all(some.map((projectId) => tokens.getProjectToken({ projectId })));
  }
}

/** Regenerates the tokens of all these projects at once. */
export async function revokeAll({ tokens }: Tenant, projectIds: readonly string[]): Promise<void> {
  await Promise.all(
    projectIds.map((projectId) =>
      tokens.regenerateProjectToken({ projectId, expectedFingerprint: '', requestId: '' }),
    ),
  );
}
