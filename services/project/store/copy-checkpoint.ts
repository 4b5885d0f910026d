import type { Binary } from 'mongodb';
import type { EventPlace } from '../rules/events/event-range.ts';
import { bytesOf } from './event-collection.ts';
import type { StoredPosition } from './event-queries.ts';
import { placeFrom } from './migration-events.ts';

/** How far a copy is, as it is stored: written with every step. */
export type CopyDocument = {
  /** The migration. */
  _id: string;
  projectId: string;
  /** Of the process that writes. */
  fence: number;
  /** Counts what was written, so that nothing is written twice or out of turn. */
  steps: number;
  /** Counts the scans: each begins anew. */
  scan: number;
  digestsOnly: boolean;
  /** The last place that is scanned. */
  after: StoredPosition;
  isScanned: boolean;
  /** Absent: none was received yet. */
  resumeToken?: Binary | Uint8Array;
  /** The last attempt whose fence was reached. */
  fencedAttempt: number;
  /** All ranges of the scan were to be compared once more since it ended, before the first attempt. */
  comparesAgain?: true;
} & CopyCounts;

/** What a copy has done. */
type CopyCounts = {
  eventsCopied: number;
  bytesCopied: number;
  changesApplied: number;
  rangesRepaired: number;
};

/** How far a copy is. */
export type Checkpoint = CopyCounts &
  Pick<
    CopyDocument,
    | 'projectId'
    | 'fence'
    | 'steps'
    | 'digestsOnly'
    | 'isScanned'
    | 'fencedAttempt'
    | 'comparesAgain'
  > & { migrationId: string; scan: number; after: EventPlace; resumeToken: Buffer };

/** The name by which ranges belong to the scan of a copy. */
export function copyOf({ migrationId, scan }: Pick<Checkpoint, 'migrationId' | 'scan'>): string {
  return `${migrationId}/${scan}`;
}

/** A checkpoint as it was stored. */
export function checkpointOf({ _id, after, resumeToken, ...rest }: CopyDocument): Checkpoint {
  return {
    ...{ ...rest, migrationId: _id, after: placeFrom(after) },
    resumeToken: Buffer.from(resumeToken ? bytesOf(resumeToken) : []),
  };
}
