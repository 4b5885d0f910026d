import { bareName } from '@silo/protos/enum-name.ts';
import {
  type Project,
  type PropertyIndex,
  PropertyIndexState,
} from '@silo/protos/gen/silo/project/v1/project.ts';
import type {
  CreateRecommendedProjectsResponse,
  FoundProject,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { ProjectToken } from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import type { MigratedAway } from '../migrated-projects.ts';
import { type NameOf, named } from '../names.ts';
import type { Block } from '../text.ts';
import { facts, stateText, timeText } from './values.ts';

/** The project switcher as a list; below it, projects that have migrated to another region. */
export function foundBlocks(
  found: readonly FoundProject[],
  { query, away }: { query: string; away: readonly MigratedAway[] },
): Block[] {
  if (away.length === 0) return hereBlocks(found, query);
  const rows = away.map(({ migration, organizationName }) => [
    { text: migration.projectName, id: migration.projectId },
    { text: organizationName, id: migration.sourceOrganizationId },
    `the region ${migration.destinationRegion}`,
  ]);
  const migrated = { head: ['migrated', 'from', 'to'], rows };
  return found.length === 0 ? [migrated] : [...hereBlocks(found, query), '', migrated];
}

function hereBlocks(found: readonly FoundProject[], query: string): Block[] {
  if (found.length === 0) {
    if (query !== '') {
      return [{ text: 'No project matches. All projects: silo projects', hasCommands: true }];
    }
    return [{ text: 'There is no project yet: silo project create NAME', hasCommands: true }];
  }
  const rows = found.map(({ project, organizationName, current }) => [
    current ? { text: '*', style: 'good' as const } : '',
    { text: project?.name ?? '', id: project?.id ?? '' },
    { text: organizationName, id: project?.organizationId ?? '' },
  ]);
  return [{ head: ['', 'project', 'organization'], rows }];
}

/** Deleted projects that can still be undeleted. */
export function deletedProjectsBlocks(
  found: readonly { project: Project; organizationName: string }[],
): Block[] {
  if (found.length === 0) return ['No deleted project can be undeleted.'];
  const rows = found.map(({ project, organizationName }) => [
    named(project),
    { text: organizationName, id: project.organizationId },
    timeText(project.purgeTime),
  ]);
  return [
    { head: ['project', 'organization', 'purged'], rows },
    { text: 'To undelete one: silo project undelete NAME', style: 'dim', hasCommands: true },
  ];
}

export function projectBlocks(project: Project, nameOf: NameOf): Block[] {
  const { settings } = project;
  return facts(
    ['project', named(project)],
    ['organization', nameOf(project.organizationId)],
    ['state', stateText(project.state)],
    ['time zone', settings?.timeZone],
    ['app URLs', settings?.appUrls.join(', ')],
    ['anonymize IPs', settings?.anonymizeIps ? 'yes' : 'no'],
    ['events kept', settings?.retentionDays ? `${settings.retentionDays} days` : 'all'],
    ['indexed properties', project.propertyIndexes.map(indexText).join(', ')],
    ['created', timeText(project.createTime)],
    ['purged', project.purgeTime && timeText(project.purgeTime)],
  );
}

function indexText({ name, state }: PropertyIndex): string {
  return `${name} (${bareName(PropertyIndexState, state).toLowerCase()})`;
}

export function createdBlocks(project: Project, projectToken: string): Block[] {
  return [
    [{ text: 'Created', style: 'good' }, ' ', named(project), '.'],
    ...facts(['token', projectToken]),
  ];
}

export function recommendedBlocks({ projects }: CreateRecommendedProjectsResponse): Block[] {
  if (projects.length === 0) return ['All of them exist already.'];
  return projects.flatMap(({ project, projectToken }) =>
    project === undefined ? [] : createdBlocks(project, projectToken),
  );
}

export function deletedBlocks(project: Project): Block[] {
  return [
    [{ text: 'Deleted', style: 'good' }, ` ${project.name}. Access has ended, its slot is free.`],
    [
      `Until ${timeText(project.purgeTime)} it can be undeleted: `,
      { text: `silo project undelete ${project.id}`, hasCommands: true },
    ],
  ];
}

export function tokenBlocks(token: ProjectToken, nameOf: NameOf): Block[] {
  return facts(
    ['token', token.token],
    ['fingerprint', token.fingerprint],
    ['project', nameOf(token.projectId)],
    ['made', timeText(token.createTime)],
  );
}
