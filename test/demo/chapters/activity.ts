import type { ActivityEntry } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { claim } from '../claim.ts';
import type { Cast, Person, Stage } from '../stage.ts';

/** The activity logs of both organizations; the move stands in both, under one id. */
export async function readActivity(stage: Stage, { ada, grace }: Cast, moveId: string) {
  const { narrator } = stage;
  narrator.chapter('What the activity logs say');
  await readLog(stage, ada, moveId, [
    'org.organization_created',
    'project.created',
    'token.revoked',
    'billing.plan_changed',
    'org.invite_accepted',
    'org.member_updated',
    'project.moved',
    'project.deleted',
  ]);
  await readLog(stage, grace, moveId, [
    'org.organization_created',
    'project.created',
    'billing.plan_changed',
    'project.moved',
  ]);
}

async function readLog(
  { narrator }: Stage,
  { name, api, organization }: Person,
  moveId: string,
  types: readonly string[],
): Promise<void> {
  await narrator.step(`${name} reads that of ${organization.name}, oldest first`, async (step) => {
    const entries = (await api.listActivity(organization.id)).toReversed();
    for (const entry of entries) step.say(lineOf(entry, narrator.nameOf));
    const shown = new Set(entries.map(({ type }) => type));
    claim(
      'what is missing',
      types.filter((type) => !shown.has(type)),
      [],
    );
    const moves = entries.filter(({ type }) => type === 'project.moved');
    claim(
      'the move',
      moves.map((entry) => entry.moveId),
      [moveId],
    );
  });
}

function lineOf(entry: ActivityEntry, nameOf: (id: string) => string): string {
  const { time, type, actor, projectId, subjectId, moveId, changes } = entry;
  const about = [projectId, subjectId, moveId].filter(Boolean).map(nameOf);
  const changed = changes.map(({ field, from, to }) => {
    return `${field}: ${from ? nameOf(from) : '–'} → ${to ? nameOf(to) : '–'}`;
  });
  const clock = time?.toISOString().slice(11, 19) ?? '';
  const said = [...about, ...changed].join(', ');
  return `${clock}  ${nameOf(actor).padEnd(6)} ${type.padEnd(32)} ${said}`;
}
