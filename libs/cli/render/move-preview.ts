import type { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import {
  type AccessChange,
  type MoveCheck,
  MoveRule,
  type PreviewMoveResponse,
  type SlotsChange,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { named } from '../names.ts';
import type { Block, Span } from '../text.ts';
import { projectsText } from './moves.ts';
import { levelText } from './values.ts';

/** The projects to move, and the names of both organizations. */
export type Plan = {
  projects: readonly Project[];
  source: { id: string; name: string };
  destination: { id: string; name: string };
};

// Of one kind, only this number are listed; the others are counted.
const shownMax = 20;

/** What a move would do: the outcome of every rule, the lost and gained access, and the slots. */
export function previewBlocks(preview: PreviewMoveResponse, plan: Plan): Block[] {
  const { losing, gaining, source, destination, planFingerprint } = preview;
  const people = [...accessRows(losing, lost), ...accessRows(gaining, gained)];
  return [
    titleOf(plan),
    '',
    {
      head: ['rule', '', 'what stands in the way'],
      rows: preview.checks.map((each) => checkRow(each, plan)),
    },
    '',
    ...(people.length > 0
      ? [{ head: ['who', 'level', 'what happens'], rows: people }]
      : ['Nobody loses or gains access.']),
    '',
    {
      head: ['organization', 'projects now', 'after', 'limit'],
      rows: [slotsRow(plan.source, source), slotsRow(plan.destination, destination)],
    },
    '',
    [{ text: `fingerprint ${planFingerprint}`, style: 'dim' }],
  ];
}

function titleOf({ projects, source, destination }: Plan): Span[] {
  const [first, ...others] = projects;
  const what =
    others.length === 0
      ? { text: first?.name ?? '', id: first?.id ?? '' }
      : { text: projectsText(projects.length), id: projects.map(({ id }) => id).join(' ') };
  const bold = (text: string, id = ''): Span => ({ text, id, style: 'bold' });
  return [
    bold('Move '),
    bold(what.text, what.id),
    bold(' from '),
    bold(source.name, source.id),
    bold(' to '),
    bold(destination.name, destination.id),
  ];
}

const ruleTexts: Record<MoveRule, string> = {
  [MoveRule.MOVE_RULE_UNSPECIFIED]: 'a rule that this command does not know',
  [MoveRule.MOVE_RULE_SAME_REGION]: 'both organizations are in one region',
  [MoveRule.MOVE_RULE_SOURCE_ADMIN]: 'you are an admin of the source',
  [MoveRule.MOVE_RULE_DESTINATION_MEMBER]: 'you are a member of the destination',
  [MoveRule.MOVE_RULE_MAY_CREATE_IN_DESTINATION]: 'you may create projects in the destination',
  [MoveRule.MOVE_RULE_SOURCE_KEEPS_PROJECT]: 'the source keeps a project',
  [MoveRule.MOVE_RULE_ELSEWHERE]: 'the project is not in the destination',
  [MoveRule.MOVE_RULE_DESTINATION_HAS_ROOM]: 'the destination has room',
  [MoveRule.MOVE_RULE_PROJECTS_ACTIVE]: 'no project is deleted',
};

function checkRow({ rule, passed, description, projectIds }: MoveCheck, plan: Plan): Span[] {
  const outcome: Span = passed ? { text: '✓', style: 'good' } : { text: '✗', style: 'bad' };
  const known = ruleTexts[rule] ?? `${ruleTexts[MoveRule.MOVE_RULE_UNSPECIFIED]} (${rule})`;
  const names = projectIds.map((id) => plan.projects.find((each) => each.id === id)?.name ?? id);
  const text = [description, names.join(', ')].join(' ').trim();
  return [known, outcome, { text, id: projectIds.join(' ') }];
}

/** The outcome for those who lose access. */
export const lost: Span = { text: 'loses access', style: 'bad' };
const gained: Span = { text: 'gains access', style: 'good' };

/** The people and keys that a change of access affects, each with the outcome. */
export function accessRows(change: AccessChange | undefined, what: Span): Span[][] {
  if (change === undefined) return [];
  const { members, ownKeys, otherKeys } = change;
  return [
    ...cut(
      members.map((each) => [
        { text: each.displayName, id: each.accountId },
        levelText(each.level),
        what,
      ]),
      change.memberCount,
      ['more people', what],
    ),
    ...cut(
      ownKeys.map(({ name, keyId, projectIds }) => [
        {
          text: `your key ${name}${projectIds.length > 0 ? `: ${projectsText(projectIds.length)}` : ''}`,
          id: keyId,
        },
        '',
        what,
      ]),
      change.ownKeyCount,
      ['more keys of yours', what],
    ),
    ...cut(
      otherKeys.map(({ displayName, accountId, keyCount = 0 }) => [
        {
          text: `${keyCount === 1 ? '1 key' : `${keyCount} keys`} of ${displayName}`,
          id: accountId,
        },
        '',
        what,
      ]),
      change.otherOwnerCount,
      ['more people with keys', what],
    ),
  ];
}

/** The first rows, then the number of rows that are left out. */
function cut(rows: Span[][], count = rows.length, [more, what]: [string, Span]): Span[][] {
  const shown = rows.slice(0, shownMax);
  const rest = count - shown.length;
  return rest > 0 ? [...shown, [`… and ${rest} ${more}`, '', what]] : shown;
}

/** The slots of an organization before and after. */
export function slotsRow(organization: Plan['source'], slots: SlotsChange | undefined): Span[] {
  return [
    named(organization),
    String(slots?.countBefore ?? 0),
    String(slots?.countAfter ?? 0),
    String(slots?.limit ?? 'unlimited'),
  ];
}
