import { enumName } from '@silo/protos/enum-name.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { OrganizationFact } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import type { ProjectFact } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { KeyFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import type { Answer, Question, Refusal } from './access.ts';
import { isKnownLevel } from './levels.ts';
import { exceeds, isRestricted, reachesOrganization, reachesProject } from './reach.ts';
import { holdsScope } from './scopes.ts';

/**
 * The facts on which a check of a target depends; an undefined fact means that the thing does not
 * exist.
 */
export type TargetFacts = {
  project?: ProjectFact | undefined;
  organization?: OrganizationFact | undefined;
  level?: Level | undefined;
};

/** Whether a key is valid. */
export function isLive(key: KeyFact | undefined, now: Date): key is KeyFact {
  if (key === undefined || key.disabled) return false;
  return key.expireTime === undefined || key.expireTime > now;
}

/** Whether the key itself is refused, before its target is evaluated; undefined if not. */
export function evaluateKey(
  question: Question,
  key: KeyFact | undefined,
  now: Date,
): Refusal | undefined {
  if (!isLive(key, now)) return refusal(ErrorReason.ERROR_REASON_TOKEN_INVALID, '');
  if (question.scope && !holdsScope(key.scopes, question.scope)) {
    return refusal(ErrorReason.ERROR_REASON_SCOPE_REQUIRED, question.scope);
  }
  if (question.unrestricted && isRestricted(key)) {
    return refusal(ErrorReason.ERROR_REASON_KEY_RESTRICTED, '');
  }
  if (question.keyId && isRestricted(key) && key.keyId !== question.keyId) {
    return refusal(ErrorReason.ERROR_REASON_KEY_NOT_FOUND, question.keyId);
  }
  const beyond = question.within && exceeds(question.within, key);
  return beyond && refusal(ErrorReason.ERROR_REASON_KEY_EXCEEDS_CALLER, beyond);
}

/**
 * The decision, from facts alone. A target that the caller may not see is refused exactly like one
 * that does not exist; only a member gets ADMIN_REQUIRED if its level is too low.
 */
export function evaluateAccess(
  question: Question,
  key: KeyFact | undefined,
  target: TargetFacts,
  now: Date,
): Answer {
  const refused = evaluateKey(question, key, now);
  if (refused !== undefined || key === undefined) {
    return {
      allowed: false,
      refusal: refused ?? refusal(ErrorReason.ERROR_REASON_TOKEN_INVALID, ''),
      key: isLive(key, now) ? key : undefined,
    };
  }
  if (question.projectId) return evaluateProject(question, question.projectId, key, target);
  if (question.organizationId) {
    return evaluateOrganization(question, question.organizationId, key, target);
  }
  return { allowed: true, facts: { key } };
}

function evaluateProject(
  question: Question,
  projectId: string,
  key: KeyFact,
  { project, organization, level }: TargetFacts,
): Answer {
  const absent = refusal(ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND, projectId);
  const hidden = question.hiddenAs ?? absent;
  if (project === undefined) {
    const reaches = !isRestricted(key) || key.projectIds.includes(projectId);
    return question.evenGone && reaches ? { allowed: true, facts: { key } } : no(hidden, key);
  }
  const away = question.evenGone ? undefined : awayRefusal(project);
  const isUsable = project.state === ProjectState.PROJECT_STATE_ACTIVE || question.evenGone;
  if (!isUsable && away === undefined) return no(hidden, key);
  if (!reachesProject(key, projectId, project.organizationId)) return no(hidden, key);
  if (organization === undefined || !isKnownLevel(level)) return no(hidden, key);
  if (away !== undefined) return no(away, key);
  if (level < leastLevel(question)) return no(levelTooLow(question), key);
  return {
    allowed: true,
    facts: {
      key,
      organization: { id: project.organizationId, level, fact: organization },
      project: { id: projectId, fact: project },
    },
  };
}

/**
 * The refusal for a project that is being cut over to another region, or is there; undefined if it
 * is neither.
 */
export function awayRefusal({ state, migratedTo }: ProjectFact): Refusal | undefined {
  if (state === ProjectState.PROJECT_STATE_MIGRATING) {
    return refusal(ErrorReason.ERROR_REASON_NOT_READY, '');
  }
  if (state !== ProjectState.PROJECT_STATE_MIGRATED || migratedTo === undefined) return undefined;
  const { region, organizationId } = migratedTo;
  return { ...refusal(ErrorReason.ERROR_REASON_CROSS_REGION, region), organizationId };
}

function evaluateOrganization(
  question: Question,
  organizationId: string,
  key: KeyFact,
  { organization, level }: TargetFacts,
): Answer {
  const absent = refusal(ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND, organizationId);
  const hidden = question.hiddenAs ?? absent;
  if (!reachesOrganization(key, organizationId)) return no(hidden, key);
  if (organization === undefined && question.evenGone) return { allowed: true, facts: { key } };
  if (organization === undefined || !isKnownLevel(level)) return no(hidden, key);
  const least = leastLevelIn(organization, question);
  if (level < least) return no(levelTooLow({ ...question, level: least }), key);
  return {
    allowed: true,
    facts: { key, organization: { id: organizationId, level, fact: organization } },
  };
}

function leastLevelIn(organization: OrganizationFact, question: Question): Level {
  const isForAdmins = question.createsProjects && !organization.membersMayCreateProjects;
  return isForAdmins ? Level.LEVEL_ADMIN : leastLevel(question);
}

function leastLevel(question: Question): Level {
  return question.level || Level.LEVEL_MEMBER;
}

function levelTooLow(question: Question): Refusal {
  return refusal(ErrorReason.ERROR_REASON_ADMIN_REQUIRED, enumName(Level, leastLevel(question)));
}

function refusal(reason: ErrorReason, detail: string): Refusal {
  return { reason, detail };
}

function no(refusal: Refusal, key: KeyFact): Answer {
  return { allowed: false, refusal, key };
}
