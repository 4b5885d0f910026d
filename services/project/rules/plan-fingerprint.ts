import { createHash } from 'node:crypto';
import { reasonName } from '@silo/errors/reason-name.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import type { ProjectDocument } from '../store/documents.ts';
import type { AccessChanges, Concerned } from './move-access.ts';

/** The effect of a move: the content of a preview, and the input of its fingerprint. */
export type MoveOutcome = {
  sourceId: string;
  destinationId: string;
  projects: readonly Pick<ProjectDocument, '_id' | 'moveId'>[];
  /** All errors that prevent the move. */
  refusals: readonly SiloError[];
  changes: AccessChanges;
};

/** A difference from the plan of a fingerprint, with its name in PLAN_CHANGED. */
export type PlanChange = { what: string; description: string };

type Part = {
  what: string;
  /** The content of the part, in any order. Contains neither names nor numbers of slots. */
  lines(outcome: MoveOutcome): string[];
  /** A description of the present content. */
  describe(outcome: MoveOutcome): string;
};

const digestDigits = 16;

/** A fingerprint has a digest of each part, so that a refusal can say which parts have changed. */
const parts: readonly Part[] = [
  {
    what: 'move',
    // Includes each project's latest move, so that a project that went away and came back differs.
    lines: ({ sourceId, destinationId, projects }) => [
      `from ${sourceId}`,
      `to ${destinationId}`,
      ...projects.map(({ _id, moveId = '' }) => `project ${_id} ${moveId}`),
    ],
    describe: () => 'A project has been moved since, or the preview was of another move.',
  },
  {
    what: 'refusals',
    lines: ({ refusals }) =>
      refusals.map((error) => `${reasonName(error.reason)} ${subject(error)}`),
    describe: ({ refusals }) =>
      refusals.length === 0
        ? 'Nothing stands in its way now.'
        : `It would be refused now with ${[...new Set(refusals.map(({ reason }) => reasonName(reason)))].join(', ')}.`,
  },
  {
    what: 'losing_members',
    lines: ({ changes }) => accountsOf(changes.losing),
    describe: ({ changes }) => `${changes.losing.people.length} member(s) would lose access now.`,
  },
  {
    what: 'gaining_members',
    lines: ({ changes }) => accountsOf(changes.gaining),
    describe: ({ changes }) => `${changes.gaining.people.length} member(s) would gain access now.`,
  },
  {
    what: 'losing_keys',
    lines: ({ changes }) => keysOf(changes.losing),
    describe: ({ changes }) => `${changes.losing.keys.length} API key(s) would lose access now.`,
  },
  {
    what: 'gaining_keys',
    lines: ({ changes }) => keysOf(changes.gaining),
    describe: ({ changes }) => `${changes.gaining.keys.length} API key(s) would gain access now.`,
  },
];

/**
 * The fingerprint of a move's effect. Equal for equal effects, regardless of how they came about.
 */
export function planFingerprint(outcome: MoveOutcome): string {
  return parts.map(({ lines }) => digestOf(lines(outcome))).join('-');
}

/** The parts of a move's effect that differ from those of the fingerprint; empty if none do. */
export function planChanges(fingerprint: string, outcome: MoveOutcome): PlanChange[] {
  const digests = fingerprint.split('-');
  // An invalid fingerprint is treated as that of another move.
  const known = digests.length === parts.length ? digests : [];
  return parts
    .filter(({ lines }, index) => digestOf(lines(outcome)) !== known[index])
    .map(({ what, describe }) => ({ what, description: describe(outcome) }));
}

function digestOf(lines: string[]): string {
  const text = JSON.stringify(lines.sort());
  return createHash('sha256').update(text).digest('hex').slice(0, digestDigits);
}

function subject({ details }: SiloError): string {
  return details.preconditionFailure?.[0]?.subject ?? details.quotaFailure?.[0]?.subject ?? '';
}

function accountsOf({ people }: Concerned): string[] {
  return people.map(({ accountId }) => accountId);
}

function keysOf({ keys }: Concerned): string[] {
  return keys.map(({ key, projectIds }) =>
    projectIds === 'all' ? key.keyId : `${key.keyId} ${projectIds.toSorted().join(' ')}`,
  );
}
