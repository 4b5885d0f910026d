import type { ActivityEntry } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { claim } from '../claim.ts';
import type { Cast, Person, Stage } from '../stage.ts';

/** The activity logs of both organizations; both contain the moves, with their ids. */
export async function readActivity(stage: Stage, { ada, grace }: Cast, moveIds: string[]) {
  const { narrator } = stage;
  narrator.chapter('What the activity logs say');
  await readLog(stage, ada, moveIds, [
    'org.organization_created',
    'project.created',
    'token.revoked',
    'billing.plan_changed',
    'org.invite_accepted',
    'org.member_updated',
    'project.moved',
    'project.deleted',
  ]);
  await readLog(stage, grace, moveIds, [
    'org.organization_created',
    'project.created',
    'billing.plan_changed',
    'project.moved',
  ]);
}

async function readLog(
  { narrator }: Stage,
  { name, api, organization }: Person,
  moveIds: string[],
  types: readonly string[],
): Promise<void> {
  await narrator.step(`${name} reads that of ${organization.name}, oldest first`, async (step) => {
    const entries = (await api.listActivity(organization.id)).toReversed();
    for (const entry of entries) step.say(lineOf(entry));
    const shown = new Set(entries.map(({ type }) => type));
    claim(
      'what is missing',
      types.filter((type) => !shown.has(type)),
      [],
    );
    const moves = entries.filter(({ type }) => type === 'project.moved');
    claim(
      'the moves',
      moves.map((entry) => entry.moveId),
      moveIds,
    );
  });
}

function lineOf({
  time,
  type,
  actor,
  projectId,
  subjectId,
  moveId,
  changes,
}: ActivityEntry): string {
  const about = [projectId, subjectId, moveId].filter(Boolean);
  const changed = changes.map(({ field, from, to }) => `${field}: ${from || '–'} → ${to || '–'}`);
  const clock = time?.toISOString().slice(11, 19) ?? '';
  return `${clock}  ${type.padEnd(32)} ${[`by ${actor}`, ...about, ...changed].join(', ')}`;
}
