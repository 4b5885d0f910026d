/**
 * Every kind of revocation of invariant 4, each as a worker that repeatedly grants and removes one
 * kind of access. Each step of a generator is one revocation that returned OK.
 */
import * as keys from './take-keys.ts';
import * as members from './take-members.ts';
import * as projects from './take-projects.ts';
import type { Worker } from './worker.ts';

type Career = (worker: Worker) => AsyncGenerator<void>;

/** By the RPC under test; a career may use related RPCs. */
export const careers: Readonly<Record<string, Career>> = { ...keys, ...members, ...projects };

/** The RPCs that remove access. */
export const revokingRpcs = [
  ...['RegenerateProjectToken', 'DeleteApiKey', 'DisableApiKey', 'RollApiKey', 'UpdateApiKey'],
  ...['RemoveMember', 'LeaveOrganization', 'UpdateMember', 'UpdateOrganization'],
  ...['MoveProject', 'BatchMoveProjects', 'UndoMove', 'DeleteProject', 'DeleteOrganization'],
] as const;
