import type { TokenAnswer } from '@silo/access/access.ts';
import { awayRefusal } from '@silo/access/evaluate-access.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { FactTable } from './fact-table.ts';
import {
  type FactKind,
  type FactName,
  type FactRef,
  type FactValues,
  factKinds,
  type Known,
  nameOf,
  sourceOfKind,
} from './facts.ts';
import type { Source } from './position.ts';
import { ReadyAnswers } from './ready-answers.ts';

/** The answer for every invalid token. */
export const tokenRefused: Extract<TokenAnswer, { allowed: false }> = {
  allowed: false,
  refusal: { reason: ErrorReason.ERROR_REASON_TOKEN_INVALID, detail: '' },
};

type Tables = { [Kind in FactKind]: FactTable<FactValues[Kind]> };

/**
 * The remembered facts. The caller knows whether they may be used. Facts that something is unknown
 * are stored separately, so that a flood of made-up tokens evicts no useful fact.
 */
export class Memory {
  readonly #ready = new ReadyAnswers();
  readonly #facts: Tables;
  readonly #unknown: Tables;

  constructor(factsMax: number, unknownMax: number) {
    this.#facts = {
      ...newTables(factsMax),
      token: new FactTable(factsMax, this.#ready),
      project: new FactTable(factsMax, this.#ready.byProject),
    };
    this.#unknown = newTables(unknownMax);
  }

  /** The remembered fact; undefined if nothing is remembered, not even that it does not exist. */
  get<Kind extends FactKind>(kind: Kind, id: string): Known<FactValues[Kind]> | undefined {
    return this.#facts[kind].get(id) ?? this.#unknown[kind].get(id);
  }

  /**
   * The project of a token, from two facts; undefined if they are not remembered. Allocates an
   * object only the first time.
   */
  tokenAnswer(token: string): TokenAnswer | undefined {
    return this.#ready.get(token) ?? this.#newTokenAnswer(token);
  }

  #newTokenAnswer(token: string): TokenAnswer | undefined {
    const fact = this.#facts.token.get(token);
    if (fact?.value === undefined) {
      return this.#unknown.token.get(token) === undefined ? undefined : tokenRefused;
    }
    const { projectId } = fact.value;
    const project = this.get('project', projectId);
    if (project === undefined) return undefined;
    const answer = tokenAnswerOf(projectId, project.value);
    this.#ready.set(fact.id, projectId, answer);
    return answer;
  }

  /** Remembers what a fact fetch found. */
  set<Kind extends FactKind>(kind: Kind, ref: FactRef, value: FactValues[Kind] | undefined): void {
    const name = nameOf(ref, value);
    this.#facts[kind].delete(ref.id);
    this.#unknown[kind].delete(ref.id);
    const tables = value === undefined ? this.#unknown : this.#facts;
    tables[kind].set(ref.id, name, value);
    if (kind === 'project') this.#ready.endProject(ref.id);
  }

  end({ kind, name }: FactName): void {
    this.#facts[kind].end(name);
    this.#unknown[kind].end(name);
    if (kind === 'project') this.#ready.endProject(name);
  }

  clear(source: Source): void {
    for (const kind of factKinds) {
      if (sourceOfKind[kind] !== source) continue;
      this.#facts[kind].clear();
      this.#unknown[kind].clear();
      if (kind === 'project') this.#ready.clear();
    }
  }

  get size(): number {
    return factKinds.reduce(
      (size, kind) => size + this.#facts[kind].size + this.#unknown[kind].size,
      0,
    );
  }
}

/** The answer for a token of this project. */
export function tokenAnswerOf(
  projectId: string,
  project: FactValues['project'] | undefined,
): TokenAnswer {
  if (project === undefined) return tokenRefused;
  if (project.state === ProjectState.PROJECT_STATE_ACTIVE) {
    return { allowed: true, projectId, organizationId: project.organizationId, project };
  }
  const away = awayRefusal(project);
  if (away === undefined) return tokenRefused;
  // A token's holder need not be a member, so the answer contains no organization.
  const { reason, detail } = away;
  return { allowed: false, refusal: { reason, detail } };
}

function newTables(max: number): Tables {
  return {
    token: new FactTable(max),
    key: new FactTable(max),
    project: new FactTable(max),
    organization: new FactTable(max),
    membership: new FactTable(max),
  };
}
