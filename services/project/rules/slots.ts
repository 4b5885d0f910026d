import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { TryResult } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import type { ChangeResult, SlotsDocument } from '../store/documents.ts';

const {
  TRY_RESULT_ACCEPTED,
  TRY_RESULT_REFUSED_ACCESS,
  TRY_RESULT_REFUSED_COUNT,
  TRY_RESULT_REFUSED_LATE,
} = TryResult;

/** Whether the slots have room for that many more projects. */
export function hasRoom({ limit, count }: Pick<SlotsDocument, 'limit' | 'count'>, more: number) {
  return limit === null || count + more <= limit;
}

/** Whether the organization's plan allows migrations to other regions. */
export function hasMigrations({ limit, migrations }: Pick<SlotsDocument, 'limit' | 'migrations'>) {
  // If no release has set it: exactly the plans without a limit allow migrations.
  return migrations ?? limit === null;
}

/** Why that many more projects cannot be added; undefined if they can. */
export function refuseAddition(
  organizationId: string,
  slots: SlotsDocument | undefined,
  more: number,
): SiloError | undefined {
  if (slots === undefined || slots.closed) return refuseUnusable(organizationId, slots);
  return hasRoom(slots, more) ? undefined : limitReached(slots);
}

/**
 * NOT_READY if an organization's slots are not open yet, ORGANIZATION_NOT_FOUND if they are closed
 * for good; undefined if they can be used.
 */
export function refuseUnusable(
  organizationId: string,
  slots: SlotsDocument | undefined,
): SiloError | undefined {
  if (slots === undefined) return errors.notReady('the organization’s project slots');
  if (slots.closed) return errors.organizationNotFound(organizationId);
  return undefined;
}

/** PROJECT_LIMIT with the counts. */
export function limitReached({ _id, limit, count }: SlotsDocument): SiloError {
  return errors.projectLimit({ organizationId: _id, limit: limit ?? count, count });
}

/** The result of a conditional change, and the counts at that time. */
type Outcome = Required<Omit<ChangeResult, 'revision'>>;

/** A change that is accepted or refused once, on behalf of a saga's caller. */
export type ConditionalChange = {
  revision: number;
} /** `migrations` is absent if the caller's release does not send it. */ & (
  | { kind: 'limit'; limit: number | null; migrations?: boolean | undefined }
  /** `deletedCount`: deleted projects that can still be undeleted, and prevent the change. */
  | { kind: 'close'; deletedCount: number }
);

/**
 * The result of a conditional change. `after` is the document to write: absent if this or a later
 * revision has a result already, so that nothing changes.
 */
export function decideConditionalChange(
  slots: SlotsDocument,
  change: ConditionalChange,
  hasAccess: boolean,
): { outcome: Outcome; after?: SlotsDocument } {
  const { count } = slots;
  const deletedCount = change.kind === 'close' ? change.deletedCount : 0;
  const last = slots.tries[change.kind];
  if (last !== undefined && change.revision <= last.revision) {
    if (change.revision < last.revision) {
      return { outcome: { result: TRY_RESULT_REFUSED_LATE, count, deletedCount } };
    }
    const { result, count: countThen, deletedCount: deletedThen = 0 } = last;
    return { outcome: { result, count: countThen, deletedCount: deletedThen } };
  }
  const result = resultOf(slots, change, hasAccess);
  const outcome = { result, count, deletedCount };
  const after = {
    ...(result === TRY_RESULT_ACCEPTED ? changed(slots, change) : slots),
    tries: { ...slots.tries, [change.kind]: { revision: change.revision, ...outcome } },
  };
  if (changesSlots(slots, after)) after.revision++;
  return { outcome, after };
}

/** Whether the change needs an event. */
export function changesSlots(before: SlotsDocument, after: SlotsDocument): boolean {
  return before.limit !== after.limit || before.closed !== after.closed;
}

function resultOf(
  { count }: SlotsDocument,
  change: ConditionalChange,
  hasAccess: boolean,
): TryResult {
  if (!hasAccess) return TRY_RESULT_REFUSED_ACCESS;
  const fits =
    change.kind === 'close'
      ? count === 0 && change.deletedCount === 0
      : change.limit === null || count <= change.limit;
  return fits ? TRY_RESULT_ACCEPTED : TRY_RESULT_REFUSED_COUNT;
}

function changed(slots: SlotsDocument, change: ConditionalChange): SlotsDocument {
  if (change.kind === 'close') return { ...slots, closed: true };
  const { migrations: _, ...rest } = slots;
  const { limit, migrations } = change;
  return { ...rest, limit, ...(migrations !== undefined && { migrations }) };
}
