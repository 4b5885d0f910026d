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
import type { Block } from '../text.ts';
import { facts, stateText, timeText } from './values.ts';

/** The switcher as a list. */
export function foundBlocks(found: readonly FoundProject[]): Block[] {
  if (found.length === 0) return ['No project is called so.'];
  const rows = found.map(({ project, organizationName, current }) => [
    current ? { text: '*', style: 'good' as const } : '',
    project?.name ?? '',
    organizationName,
    project?.id ?? '',
  ]);
  return [{ head: ['', 'project', 'organization', 'id'], rows }];
}

/** Deleted projects that can still be brought back. */
export function deletedProjectsBlocks(
  found: readonly { project: Project; organizationName: string }[],
): Block[] {
  if (found.length === 0) return ['No deleted project can be brought back.'];
  const rows = found.map(({ project, organizationName }) => [
    project.name,
    organizationName,
    timeText(project.purgeTime),
    project.id,
  ]);
  return [
    { head: ['project', 'organization', 'purged', 'id'], rows },
    { text: 'To bring one back: silo project undelete NAME', style: 'dim' },
  ];
}

export function projectBlocks(project: Project): Block[] {
  const { settings } = project;
  return facts(
    ['project', project.id],
    ['name', project.name],
    ['organization', project.organizationId],
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
    [{ text: 'Created', style: 'good' }, ` ${project.name} (${project.id}).`],
    ...facts(['token', projectToken]),
  ];
}

export function recommendedBlocks({ projects }: CreateRecommendedProjectsResponse): Block[] {
  if (projects.length === 0) return ['All of them are there already.'];
  return projects.flatMap(({ project, projectToken }) =>
    project === undefined ? [] : createdBlocks(project, projectToken),
  );
}

export function deletedBlocks(project: Project): Block[] {
  return [
    [{ text: 'Deleted', style: 'good' }, ` ${project.name}. Access has ended, its slot is free.`],
    `Until ${timeText(project.purgeTime)} it can come back: silo project undelete ${project.id}`,
  ];
}

export function tokenBlocks(token: ProjectToken): Block[] {
  return facts(
    ['token', token.token],
    ['fingerprint', token.fingerprint],
    ['project', token.projectId],
    ['made', timeText(token.createTime)],
  );
}
