import type {
  ActivityChange,
  ActivityEntry,
} from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { listOf, type NameOf } from '../names.ts';
import { type Block, type Span, textOf } from '../text.ts';
import { minuteText } from './values.ts';

const head = ['time (UTC)', 'what', 'who', 'concerns', 'changes'];

/** Entries as a table, and how to see more. */
export function activityBlocks(
  entries: readonly ActivityEntry[],
  { nameOf, more }: { nameOf: NameOf; more: string },
): Block[] {
  const tail: Block[] = more === '' ? [] : [{ text: more, style: 'dim' }];
  if (entries.length === 0) return ['Nothing was found.', ...tail];
  return [{ head, rows: entries.map((entry) => rowOf(entry, nameOf)) }, ...tail];
}

/** An entry as one line. */
export function activityLine(entry: ActivityEntry, nameOf: NameOf): Block {
  const cells = rowOf(entry, nameOf).filter((cell) => textOf(cell) !== '');
  return cells.flatMap((cell, at) => (at === 0 ? [cell] : ['  ', cell]));
}

/** The ids of everything that the entries name. */
export function idsIn(entries: readonly ActivityEntry[]): string[] {
  return entries.flatMap(({ actor, projectId, subjectId, changes }) => [
    ...[actor, projectId, subjectId],
    ...changes.flatMap(({ from, to }) => [from, to]),
  ]);
}

function rowOf(entry: ActivityEntry, nameOf: NameOf): Span[] {
  const { id, time, type, actor, projectId, subjectId, changes } = entry;
  // For a move or a migration, the subject is the event itself, so its id follows the event's name.
  const happened = type === 'project.migrated' ? subjectId : entry.moveId;
  const about = [projectId, subjectId === happened ? '' : subjectId].filter(Boolean);
  return [
    { text: minuteText(time), id },
    { text: whatText(type), id: happened },
    nameOf(actor),
    listOf(nameOf, about),
    changes.map((change) => changeText(change, nameOf)).join('; '),
  ];
}

const whatTexts: Record<string, string> = {
  'org.account_created': 'account created',
  'org.member_added': 'member joined',
  'org.member_updated': 'member changed',
  'project.created': 'project created',
  'project.updated': 'project changed',
  'project.moved': 'project moved',
  'project.deleted': 'project deleted',
  'project.undeleted': 'project undeleted',
  'project.migrated': 'project migrated to another region',
  'project.slots_changed': 'project limit changed',
  'token.revoked': 'token replaced',
  'org.organization_updated': 'organization changed',
  'org.invite_deleted': 'invite withdrawn',
  'billing.subscription_created': 'plan chosen',
  'billing.billing_details_updated': 'billing details changed',
};

/** The event's name for people; also for events that only a newer release knows. */
function whatText(type: string): string {
  const known = Object.hasOwn(whatTexts, type) ? whatTexts[type] : undefined;
  return known ?? words(type.slice(type.indexOf('.') + 1));
}

const prefixes = /^(LEVEL|PLAN)_(?=[A-Z_]+$)/;

function changeText({ field, from, to }: ActivityChange, nameOf: NameOf): string {
  return `${fieldText(field)}: ${valueText(from, nameOf)} → ${valueText(to, nameOf)}`;
}

/**
 * A field's name for people: `settings.time_zone` becomes `time zone`, `organization_id` becomes
 * `organization`.
 */
function fieldText(field: string): string {
  return words(field.slice(field.lastIndexOf('.') + 1).replace(/_ids?$/, ''));
}

function valueText(value: string, nameOf: NameOf): string {
  if (value === '') return '-';
  if (prefixes.test(value)) return words(value.replace(prefixes, '').toLowerCase(), '-');
  return textOf(nameOf(value));
}

function words(name: string, separator = ' '): string {
  return name.replaceAll('_', separator);
}
