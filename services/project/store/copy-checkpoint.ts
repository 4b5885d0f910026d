import type { Binary } from 'mongodb';
import type { EventPlace } from '../rules/events/event-range.ts';
import { bytesOf } from './event-collection.ts';
import type { StoredPosition } from './event-queries.ts';
import { placeFrom } from './migration-events.ts';

/** The stored progress of a copy, written with every step. */
export type CopyDocument = {
  /** The migration. */
  _id: string;
  projectId: string;
  /** The fence of the process that writes. */
  fence: number;
  /** Number of steps, so that no step is written twice or out of order. */
  steps: number;
  /** Number of the scan: each scan starts at the beginning. */
  scan: number;
  digestsOnly: boolean;
  /** The last scanned place. */
  after: StoredPosition;
  isScanned: boolean;
  /** Absent if none was received yet. */
  resumeToken?: Binary | Uint8Array;
  /** The last attempt whose fence the copy has reached. */
  fencedAttempt: number;
  /** All ranges of the scan are to be compared again after its end, before the first attempt. */
  comparesAgain?: true;
} & CopyCounts;

/** Totals of a copy. */
type CopyCounts = {
  eventsCopied: number;
  bytesCopied: number;
  changesApplied: number;
  rangesRepaired: number;
};

/** The progress of a copy. */
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

/** The key of the ranges of one scan of a copy. */
export function copyOf({ migrationId, scan }: Pick<Checkpoint, 'migrationId' | 'scan'>): string {
  return `${migrationId}/${scan}`;
}

/** Converts a stored checkpoint. */
export function checkpointOf({ _id, after, resumeToken, ...rest }: CopyDocument): Checkpoint {
  return {
    ...{ ...rest, migrationId: _id, after: placeFrom(after) },
    resumeToken: Buffer.from(resumeToken ? bytesOf(resumeToken) : []),
  };
}
