import { randomUUID } from 'node:crypto';
import { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import type { Api } from './api.ts';
import type { Cli } from './cli.ts';
import { CallFailure } from './failure.ts';

/**
 * Makes a new project the current one; answers whether that worked. What created it has succeeded
 * already, so a failure is only noted.
 */
export async function workIn(cli: Cli, api: Api, projectId: string): Promise<boolean> {
  try {
    await api.accounts.updateAccount({
      account: Account.fromPartial({ currentProjectId: projectId }),
      updateMask: ['current_project_id'],
      // Not the id of the change that created the project.
      requestId: randomUUID(),
    });
    return true;
  } catch (error) {
    if (!(error instanceof CallFailure)) throw error;
    const text = 'It could not be made the current project: silo switch';
    cli.note({ text, hasCommands: true });
    return false;
  }
}
