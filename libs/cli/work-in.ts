import { randomUUID } from 'node:crypto';
import { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import type { Api } from './api.ts';
import type { Cli } from './cli.ts';

const withinMs = 10_000;

/**
 * Makes a new project the current one; returns whether that worked. The project was created
 * already, so a failure, an interruption or a long wait is only noted.
 */
export async function workIn(cli: Cli, api: Api, projectId: string): Promise<boolean> {
  try {
    const request = {
      account: Account.fromPartial({ currentProjectId: projectId }),
      updateMask: ['current_project_id'],
      // A new id, not that of the change that created the project.
      requestId: randomUUID(),
    };
    await api.accounts.updateAccount(request, { signal: AbortSignal.timeout(withinMs) });
    return true;
  } catch {
    const text = 'The project could not be made the current one: silo switch';
    cli.note({ text, hasCommands: true });
    return false;
  }
}
