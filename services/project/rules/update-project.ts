import { errors } from '@silo/errors/errors.ts';
import type { FieldChange } from '@silo/protos/gen/silo/events/v1/events.ts';
import type { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { ProjectDocument, StoredSettings } from '../store/documents.ts';
import { settingsOf } from './settings.ts';

const settingPaths = [
  'settings.time_zone',
  'settings.app_urls',
  'settings.anonymize_ips',
  'settings.retention_days',
  'settings.indexed_properties',
] as const;

/** The fields that an update may name, down to single values. */
type Path = 'name' | (typeof settingPaths)[number];

/** The requested values of a project; omitted fields stay. */
export type ProjectChange = { name?: string; settings: Partial<StoredSettings> };

/**
 * The changes in an UpdateProject request. Refuses with INVALID_FIELD an unknown path, an empty
 * name and an unknown time zone.
 */
export function changeOf(
  project: Project,
  updateMask: readonly string[] | undefined,
): ProjectChange {
  const paths = new Set(updateMask?.length ? updateMask.flatMap(pathsOf) : filledPaths(project));
  const change: ProjectChange = { settings: {} };
  if (paths.has('name')) change.name = nameOf(project);
  if (paths.size === Number(paths.has('name'))) return change;
  const settings = settingsOf(
    project.settings && {
      ...project.settings,
      timeZone: paths.has('settings.time_zone') ? project.settings.timeZone : '',
      indexedProperties: paths.has('settings.indexed_properties')
        ? project.settings.indexedProperties
        : [],
    },
    'project.settings',
  );
  if (paths.has('settings.time_zone')) change.settings.timeZone = settings.timeZone;
  if (paths.has('settings.app_urls')) change.settings.appUrls = settings.appUrls;
  if (paths.has('settings.anonymize_ips')) change.settings.anonymizeIps = settings.anonymizeIps;
  if (paths.has('settings.retention_days')) {
    change.settings.retentionDays = settings.retentionDays ?? 0;
  }
  if (paths.has('settings.indexed_properties')) {
    change.settings.indexedProperties = settings.indexedProperties ?? [];
  }
  return change;
}

function pathsOf(path: string): readonly Path[] {
  if (path === 'name') return [path];
  if (path === 'settings') return settingPaths;
  const setting = settingPaths.find((each) => each === path);
  if (setting !== undefined) return [setting];
  const description = 'names a field that cannot be changed';
  throw errors.invalidField([{ field: 'update_mask', description }]);
}

/** The paths of an update without a mask: all fields that are not empty. */
function filledPaths({ name, settings }: Project): Path[] {
  const paths: Path[] = [];
  if (name !== '') paths.push('name');
  if (settings?.timeZone) paths.push('settings.time_zone');
  if (settings?.appUrls.length) paths.push('settings.app_urls');
  if (settings?.anonymizeIps) paths.push('settings.anonymize_ips');
  if (settings?.retentionDays) paths.push('settings.retention_days');
  if (settings?.indexedProperties.length) paths.push('settings.indexed_properties');
  return paths;
}

function nameOf({ name }: Project): string {
  if (name !== '') return name;
  throw errors.invalidField([{ field: 'project.name', description: 'must have 1-200 characters' }]);
}

/** The values of a project after a change, and the changed fields with their old and new values. */
export function applyChange(
  before: Pick<ProjectDocument, 'name' | 'settings'>,
  change: ProjectChange,
): { name: string; settings: StoredSettings; changes: FieldChange[] } {
  const name = change.name ?? before.name;
  const settings = { ...before.settings, ...change.settings };
  const from = valuesOf(before);
  const to = valuesOf({ name, settings });
  const changes = (['name', ...settingPaths] as const)
    .filter((field) => from[field] !== to[field])
    .map((field) => ({ field, from: from[field], to: to[field] }));
  return { name, settings, changes };
}

function valuesOf({ name, settings }: Pick<ProjectDocument, 'name' | 'settings'>) {
  return {
    name,
    'settings.time_zone': settings.timeZone,
    'settings.app_urls': settings.appUrls.join(' '),
    'settings.anonymize_ips': String(settings.anonymizeIps),
    'settings.retention_days': String(settings.retentionDays ?? 0),
    // A name may contain any characters, including spaces.
    'settings.indexed_properties': (settings.indexedProperties ?? [])
      .map((name) => JSON.stringify(name))
      .join(' '),
  } satisfies Record<Path, string>;
}
