import { isDeepStrictEqual } from 'node:util';
import { reasonName } from '@silo/errors/reason-name.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { Propagation } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import { claim, given } from './claim.ts';
import type { Narrator } from './narrator.ts';
import type { Holder } from './person.ts';
import type { Wires } from './wires.ts';

/** The context of every chapter. */
export type Stage = {
  narrator: Narrator;
  wires: Wires;
  region: string;
  /** URL of the HTTP edge. */
  edge: string;
};

/** A project with its token. */
export type TokenedProject = { id: string; name: string; token: string };

/** A person with an account, and what was created with it. */
export type Person = {
  name: string;
  email: string;
  accountId: string;
  organization: { id: string; name: string };
  defaultProject: TokenedProject;
  /** Calls with their first API key, which is never shown. */
  api: Holder;
};

/** The two people of the story. */
export type Cast = { ada: Person; grace: Person };

/** Describes how a change that removed access reached the guards; fails if it did not. */
export function endedText(propagation: Propagation | undefined): string {
  const { guards = 0, elapsed } = given(propagation, 'propagation');
  claim('guards have acknowledged it', guards > 0, true);
  const elapsedMs = (elapsed?.seconds ?? 0) * 1_000 + (elapsed?.nanos ?? 0) / 1_000_000;
  return `the old access has ended on all ${guards} guards, in ${elapsedMs.toFixed(1)} ms`;
}

/** Fails unless services accept the token for that project in that organization. */
export async function claimTokenGood(
  { wires }: Stage,
  token: string,
  expected: { projectId: string; organizationId: string },
): Promise<void> {
  const { answer } = await wires.access.verifyToken({ token });
  if (answer?.$case === 'facts' && isDeepStrictEqual(answer.value, expected)) return;
  throw new Error(`VerifyToken answers ${JSON.stringify(answer)}, not ${JSON.stringify(expected)}`);
}

/** Fails unless the token is refused; returns the reason. */
export async function claimTokenRefused({ wires }: Stage, token: string): Promise<string> {
  const { answer } = await wires.access.verifyToken({ token });
  if (answer?.$case !== 'refusal') throw new Error(`VerifyToken still accepts ${token}`);
  return reasonName(answer.value.reason);
}

/** The access decision for the key to read the project: `allowed`, or the reason. */
export async function checkAccess(
  { wires }: Stage,
  key: string,
  projectId: string,
): Promise<string> {
  const { answer } = await wires.access.authorize({
    key,
    scope: 'project:read',
    target: { $case: 'projectId', value: projectId },
    level: Level.LEVEL_MEMBER,
  });
  if (answer === undefined) throw new Error('Authorize answers neither facts nor a refusal');
  return answer.$case === 'facts' ? 'allowed' : reasonName(answer.value.reason);
}
