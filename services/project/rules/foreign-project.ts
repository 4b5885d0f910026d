import type { Migration } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { readPersonText } from '@silo/runtime/name-rules.ts';
import { isId } from '@silo/tokens/ids.ts';
import type { ProjectDocument, StoredSettings } from '../store/documents.ts';
import { alwaysIndexed, placesMax } from './events/indexed-properties.ts';

/** The limits of requests: data of another region did not pass through a request of this one. */
const nameMax = 200;
const timeZoneMax = 64;
const appUrlsMax = 50;
const appUrlMax = 512;
const propertyNameMax = 400;
const retentionDaysMax = 3_650;

/**
 * Whether the ids and values of a migration that another region offers are valid by the rules of
 * this region.
 */
export function isSoundOffer(offer: Migration): boolean {
  const { projectId, projectName, sourceOrganizationId, destinationOrganizationId } = offer;
  const { requesterAccountId, progress } = offer;
  return (
    isId('project', projectId) &&
    isName(projectName) &&
    isId('organization', sourceOrganizationId) &&
    isId('organization', destinationOrganizationId) &&
    // A migration requested by staff has none.
    (requesterAccountId === '' || isId('account', requesterAccountId)) &&
    (progress?.eventsTotal ?? 0) >= 0
  );
}

/** Throws TypeError if a project that another region has sent breaks a rule of this region. */
export function requireSound(project: ProjectDocument): ProjectDocument {
  const { name, settings, propertyIndexes = [], revision, eventGeneration = 0 } = project;
  const wrong = [
    !isName(name) && 'its name',
    !areSettings(settings) && 'its settings',
    !(isList(propertyIndexes, placesMax) && propertyIndexes.every(isIndex)) && 'its indexes',
    !isCount(revision) && 'its revision',
    !isCount(eventGeneration) && 'its generation of events',
    !(project.createTime instanceof Date) && 'its time of creation',
  ].find((each) => each !== false);
  if (wrong === undefined) return project;
  throw new TypeError(`the source has sent a project that breaks a rule of this region: ${wrong}`);
}

function areSettings(settings: StoredSettings | undefined): boolean {
  if (settings === undefined) return false;
  const { timeZone, appUrls, anonymizeIps, retentionDays = 0, indexedProperties = [] } = settings;
  return (
    isText(timeZone, timeZoneMax) &&
    isList(appUrls, appUrlsMax) &&
    appUrls.every((url) => isText(url, appUrlMax) && /^https?:\/\/[^/?#]/i.test(url)) &&
    typeof anonymizeIps === 'boolean' &&
    isCount(retentionDays) &&
    retentionDays <= retentionDaysMax &&
    isList(indexedProperties, placesMax - alwaysIndexed.size) &&
    indexedProperties.every((property) => isText(property, propertyNameMax))
  );
}

function isIndex({
  name,
  place,
  since,
  state,
}: NonNullable<ProjectDocument['propertyIndexes']>[0]) {
  const isPlace = isCount(place) && place >= alwaysIndexed.size && place < placesMax;
  const isState = ['building', 'ready', 'removing'].includes(state);
  return isText(name, propertyNameMax) && isPlace && isCount(since) && isState;
}

function isName(text: string): boolean {
  return isText(text, nameMax) && readPersonText(text, 'name').problem === undefined;
}

function isText(text: unknown, max: number): boolean {
  return typeof text === 'string' && text !== '' && text.isWellFormed() && [...text].length <= max;
}

function isList(list: unknown, max: number): boolean {
  return Array.isArray(list) && list.length <= max;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
