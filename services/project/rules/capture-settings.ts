import type { CaptureSettings } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import type { ProjectDocument } from '../store/documents.ts';
import { writtenIndexes } from './property-indexes.ts';

/** The fields of a project that `captureSettingsOf` reads. */
export const captureFields = { settings: 1, eventGeneration: 1, propertyIndexes: 1 } as const;

/** The facts of a project that captures need. They are part of the project's fact. */
export function captureSettingsOf({
  settings,
  eventGeneration = 0,
  propertyIndexes = [],
}: Pick<ProjectDocument, keyof typeof captureFields>): CaptureSettings {
  const { appUrls, anonymizeIps, retentionDays = 0 } = settings;
  return {
    ...{ appUrls, anonymizeIps, retentionDays },
    generation: eventGeneration,
    indexedProperties: writtenIndexes(propertyIndexes),
  };
}
