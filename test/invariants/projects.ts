import { decodeBody } from '@silo/events/messages.ts';
import type { ProjectDocument } from '@silo/project-service/store/documents.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { Snapshot, Told } from './snapshot.ts';
import { Findings, type Violation } from './violation.ts';

/** A project as its events tell it. */
type Life = { organizationId: string; revision: number; exists: boolean };

/** One owner, quota, never emptied by a move; and every change told by exactly one event. */
export function checkProjects({ logs, project }: Snapshot): Violation[] {
  const findings = new Findings();
  const history = new History(findings, new Map(project.moves.map((move) => [move._id, move])));
  for (const told of logs.project.told) history.apply(told);
  compareProjects(findings, history.lives, project.projects);
  for (const move of project.moves) {
    findings.expect(history.movesTold.has(move._id), 'every move is told', move._id);
  }
  for (const { _id, limit, count } of project.slots) {
    const existing = project.projects.filter(
      (each) => each.organizationId === _id && exists(each.state),
    ).length;
    const found = `${_id} counts ${count}, has ${existing}, may have ${limit}`;
    findings.expect(count === existing, 'an organization’s count is that of its projects', found);
    findings.expect(limit === null || count <= limit, 'nobody has more than the limit', found);
  }
  const withSlots = new Set(project.slots.map(({ _id }) => _id));
  for (const { _id, organizationId } of project.projects) {
    findings.expect(
      withSlots.has(organizationId),
      'a project’s owner has slots',
      `${_id} of ${organizationId}`,
    );
  }
  return findings.violations;
}

function exists(state: ProjectState): boolean {
  return state !== ProjectState.PROJECT_STATE_DELETED;
}

function compareProjects(
  findings: Findings,
  lives: ReadonlyMap<string, Life>,
  projects: readonly ProjectDocument[],
): void {
  const stored = new Map(projects.map((each) => [each._id, each]));
  for (const { _id, organizationId, state, revision } of projects) {
    const life = lives.get(_id);
    const found = `${_id} of ${organizationId}, revision ${revision}; told ${JSON.stringify(life)}`;
    findings.expect(
      life?.organizationId === organizationId,
      'a project’s owner is the one last told',
      found,
    );
    findings.expect(life?.revision === revision, 'every change of a project is told', found);
    findings.expect(life?.exists === exists(state), 'a project is in the state last told', found);
  }
  for (const [id, life] of lives) {
    // What is purged was deleted before.
    findings.expect(!life.exists || stored.has(id), 'a project that exists is stored', id);
  }
}

/** Follows the log and judges every step of it. */
class History {
  readonly lives = new Map<string, Life>();
  readonly movesTold = new Set<string>();
  readonly #limits = new Map<string, number | undefined>();
  readonly #findings: Findings;
  readonly #moves: ReadonlyMap<string, Snapshot['project']['moves'][number]>;

  constructor(
    findings: Findings,
    moves: ReadonlyMap<string, Snapshot['project']['moves'][number]>,
  ) {
    this.#findings = findings;
    this.#moves = moves;
  }

  apply({ name, sequence, body }: Told): void {
    const at = `event ${sequence ?? 'in the outbox'}, ${name}`;
    switch (name) {
      case 'project.created': {
        const { projectId, organizationId, revision } = decodeBody(name, body);
        this.#findings.expect(!this.lives.has(projectId), 'a project is created once', at);
        this.lives.set(projectId, { organizationId, revision, exists: true });
        this.#judgeQuota(organizationId, at);
        break;
      }
      case 'project.updated': {
        const { projectId, organizationId, revision } = decodeBody(name, body);
        this.#change(projectId, { from: organizationId, revision, at });
        break;
      }
      case 'project.moved':
        this.#move(body, at);
        break;
      case 'project.deleted': {
        const { projectId, organizationId, revision } = decodeBody(name, body);
        this.#change(projectId, { from: organizationId, revision, at, exists: false });
        break;
      }
      case 'project.slots_changed': {
        const { organizationId, limit } = decodeBody(name, body);
        this.#limits.set(organizationId, limit);
        this.#judgeQuota(organizationId, at);
        break;
      }
    }
  }

  #move(body: string, at: string): void {
    const told = decodeBody('project.moved', body);
    const { projectId, oldOrganizationId: from, newOrganizationId: to, moveId, revision } = told;
    this.#findings.expect(!this.movesTold.has(moveId), 'a move is told once', `${moveId}, ${at}`);
    this.movesTold.add(moveId);
    const record = this.#moves.get(moveId);
    const same =
      record?.projectId === projectId &&
      record.sourceOrganizationId === from &&
      record.destinationOrganizationId === to &&
      record.actorAccountId === told.actor;
    const found = `${moveId}, ${at}: ${JSON.stringify(record)}`;
    this.#findings.expect(same, 'a move that is told has its record', found);
    this.#change(projectId, { from, to, revision, at });
    this.#findings.expect(
      this.#count(from) >= 1,
      'no move takes an organization’s last project',
      `${from}, ${at}`,
    );
    this.#judgeQuota(to, at);
  }

  #change(
    projectId: string,
    change: { from: string; to?: string; revision: number; at: string; exists?: boolean },
  ): void {
    const { from, to = from, revision, at } = change;
    const before = this.lives.get(projectId);
    const found = `${projectId}, ${at}: ${JSON.stringify(before)}`;
    this.#findings.expect(before?.exists === true, 'only what exists changes', found);
    this.#findings.expect(
      before === undefined || before.organizationId === from,
      'a change is told of the owner of that time',
      found,
    );
    this.lives.set(projectId, { organizationId: to, revision, exists: change.exists ?? true });
  }

  #count(organizationId: string): number {
    let count = 0;
    for (const life of this.lives.values()) {
      if (life.exists && life.organizationId === organizationId) count++;
    }
    return count;
  }

  #judgeQuota(organizationId: string, at: string): void {
    const limit = this.#limits.get(organizationId);
    const count = this.#count(organizationId);
    this.#findings.expect(
      this.#limits.has(organizationId) && (limit === undefined || count <= limit),
      'nobody has ever had more than the limit',
      `${organizationId} had ${count} of ${limit}, ${at}`,
    );
  }
}
