import { decodeBody } from '@silo/log/decode-event.ts';
import type { MoveDocument, ProjectDocument } from '@silo/project-service/store/documents.ts';
import type {
  ProjectHeld,
  ProjectMigrated,
  ProjectReleased,
  ProjectUndeleted,
} from '@silo/protos/gen/silo/events/v1/events.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { EmittedEvent, Snapshot } from './snapshot.ts';
import { Findings, type Violation } from './violation.ts';

/** A project as described by its events. */
type Life = {
  organizationId: string;
  revision: number;
  exists: boolean;
  moveId?: string;
  /** It has migrated to another region, and ends here when it is purged there. */
  isAway?: true;
  /**
   * Set while it arrives from another region, and may go back; contains its life of an earlier
   * stay.
   */
  arriving?: { before: Life | undefined };
};

/** Checks one owner, the quota, that no move empties an organization, and one event per change. */
export function checkProjects({ logs, project }: Snapshot): Violation[] {
  const findings = new Findings();
  const history = new History(findings, new Map(project.moves.map((move) => [move._id, move])));
  for (const emitted of logs.project.emitted) history.apply(emitted);
  compareProjects(findings, history.lives, project.projects);
  checkMoves(findings, history, project.moves);
  for (const { _id, limit, count } of project.slots) {
    const own = project.projects.filter(
      (each) => each.organizationId === _id && exists(each.state),
    ).length;
    // Some slots are reserved for projects that will arrive from another region.
    const taken = project.migrations.filter(
      (each) => each.hasSlot === true && each.organizationId === _id,
    ).length;
    const existing = own + taken;
    const found = `${_id} counts ${count}, has ${existing}, may have ${limit}`;
    findings.expect(count === existing, 'an organization’s count is that of its projects', found);
    findings.expect(limit === null || count <= limit, 'no organization exceeds its limit', found);
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

/** Checks that every move has an event for each project, and at most one end, which is recorded. */
function checkMoves(
  findings: Findings,
  { movesSeen, finalized }: History,
  moves: readonly MoveDocument[],
): void {
  const undone = new Map(moves.flatMap(({ _id, undoOf }) => (undoOf ? [[undoOf, _id]] : [])));
  for (const move of moves) {
    const { _id, projectIds, undoOf, undoneBy, finalizeTime } = move;
    const emitted = projectIds.every((projectId) => movesSeen.has(`${_id} ${projectId}`));
    findings.expect(emitted, 'every move has its events', _id);
    const found = JSON.stringify(move);
    const ends = [undoOf, undoneBy, finalizeTime].filter((each) => each !== undefined);
    findings.expect(ends.length <= 1, 'a move is not both undone and finalized', found);
    findings.expect(
      undone.get(_id) === undoneBy,
      'an undo and the undone move name each other',
      found,
    );
    findings.expect(
      finalized.has(_id) === (finalizeTime !== undefined),
      'a finalized move has its event',
      found,
    );
  }
}

function exists(state: ProjectState): boolean {
  return (
    state !== ProjectState.PROJECT_STATE_DELETED && state !== ProjectState.PROJECT_STATE_MIGRATED
  );
}

function compareProjects(
  findings: Findings,
  lives: ReadonlyMap<string, Life>,
  projects: readonly ProjectDocument[],
): void {
  const stored = new Map(projects.map((each) => [each._id, each]));
  for (const { _id, organizationId, state, revision, moveId } of projects) {
    const life = lives.get(_id);
    const found = `${_id} of ${organizationId}, revision ${revision}; events ${JSON.stringify(life)}`;
    findings.expect(
      life?.organizationId === organizationId,
      'a project’s owner is the one of its last event',
      found,
    );
    findings.expect(life?.revision === revision, 'every change of a project has an event', found);
    findings.expect(
      life?.exists === exists(state),
      'a project is in the state of its last event',
      found,
    );
    findings.expect(life?.moveId === moveId, 'a project names its latest move', found);
  }
  for (const [id, life] of lives) {
    // A purged project was deleted, or has migrated, before.
    findings.expect(!life.exists || stored.has(id), 'a project that exists is stored', id);
  }
}

/** The state of an existing project in an event. */
type Change = {
  from: string;
  to?: string;
  revision: number;
  at: string;
  exists?: boolean;
  moveId?: string;
};

/** Follows the log and checks every event. */
class History {
  readonly lives = new Map<string, Life>();
  /** Keys of move and project. */
  readonly movesSeen = new Set<string>();
  readonly finalized = new Set<string>();
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

  apply({ name, sequence, body }: EmittedEvent): void {
    const at = `event ${sequence ?? 'in the outbox'}, ${name}`;
    switch (name) {
      case 'project.created': {
        const { projectId, organizationId, revision } = decodeBody(name, body);
        this.#findings.expect(!this.lives.has(projectId), 'a project is created once', at);
        this.lives.set(projectId, { organizationId, revision, exists: true });
        this.#checkQuota(organizationId, at);
        break;
      }
      case 'project.updated':
      case 'project.events_deleted': {
        const { projectId, organizationId, revision } = decodeBody(name, body);
        this.#change(projectId, { from: organizationId, revision, at });
        break;
      }
      case 'project.moved':
        this.#move(body, at);
        break;
      case 'project.deleted': {
        const { projectId, organizationId, revision } = decodeBody(name, body);
        const { isAway, ...before } = this.lives.get(projectId) ?? {};
        if (isAway)
          this.lives.set(projectId, { ...before, organizationId, revision, exists: false });
        else this.#change(projectId, { from: organizationId, revision, at, exists: false });
        break;
      }
      case 'project.undeleted':
        this.#undelete(decodeBody(name, body), at);
        break;
      case 'project.held':
        this.#hold(decodeBody(name, body), at);
        break;
      case 'project.released':
        this.#release(decodeBody(name, body), at);
        break;
      case 'project.migrated':
        this.#migrate(decodeBody(name, body), at);
        break;
      case 'project.move_finalized': {
        const { moveId } = decodeBody(name, body);
        this.#findings.expect(!this.finalized.has(moveId), 'a move is finalized once', at);
        this.finalized.add(moveId);
        break;
      }
      case 'project.slots_changed': {
        const { organizationId, limit } = decodeBody(name, body);
        this.#limits.set(organizationId, limit);
        this.#checkQuota(organizationId, at);
        break;
      }
    }
  }

  #move(body: string, at: string): void {
    const emitted = decodeBody('project.moved', body);
    const { projectId, oldOrganizationId: from, newOrganizationId: to, moveId, revision } = emitted;
    const part = `${moveId} ${projectId}`;
    this.#findings.expect(
      !this.movesSeen.has(part),
      'a move has one event per project',
      `${part}, ${at}`,
    );
    this.movesSeen.add(part);
    const record = this.#moves.get(moveId);
    const same =
      record?.projectIds.includes(projectId) &&
      // The first releases set none.
      record.projectIds.length === (emitted.projectCount || 1) &&
      (record.undoOf ?? '') === emitted.undoOf &&
      record.sourceOrganizationId === from &&
      record.destinationOrganizationId === to &&
      record.actorAccountId === emitted.actor;
    const found = `${moveId}, ${at}: ${JSON.stringify(record)}`;
    this.#findings.expect(same === true, 'a move with an event has a record', found);
    this.#change(projectId, { from, to, revision, at, moveId });
    this.#findings.expect(
      emitted.undoOf !== '' || this.#count(from) >= 1,
      'no move takes an organization’s last project',
      `${from}, ${at}`,
    );
    this.#checkQuota(to, at);
  }

  #change(projectId: string, change: Change): void {
    const { from, to = from, revision, at, exists = true } = change;
    const before = this.lives.get(projectId);
    const found = `${projectId}, ${at}: ${JSON.stringify(before)}`;
    this.#findings.expect(before?.exists === true, 'only an existing project changes', found);
    this.#findings.expect(
      before === undefined || before.organizationId === from,
      'an event has the owner at that time',
      found,
    );
    const moveId = change.moveId ?? before?.moveId;
    const life = { organizationId: to, revision, exists };
    this.lives.set(projectId, moveId === undefined ? life : { ...life, moveId });
  }

  #undelete({ projectId, organizationId, revision }: ProjectUndeleted, at: string): void {
    const before = this.lives.get(projectId);
    const found = `${projectId}, ${at}: ${JSON.stringify(before)}`;
    this.#findings.expect(before?.exists === false, 'only a deleted project is undeleted', found);
    this.#findings.expect(
      before?.organizationId === organizationId,
      'an event has the owner at that time',
      found,
    );
    this.lives.set(projectId, { ...before, organizationId, revision, exists: true });
    this.#checkQuota(organizationId, at);
  }

  /** At the source the project continues; at the destination its life begins. */
  #hold({ projectId, organizationId, revision }: ProjectHeld, at: string): void {
    const before = this.lives.get(projectId);
    if (before?.exists) {
      this.#change(projectId, { from: organizationId, revision, at });
      return;
    }
    this.lives.set(projectId, { organizationId, revision, exists: true, arriving: { before } });
    this.#checkQuota(organizationId, at);
  }

  /** The project stays at the source; the arriving one is removed. */
  #release({ projectId, organizationId, revision }: ProjectReleased, at: string): void {
    const { arriving } = this.lives.get(projectId) ?? {};
    if (arriving === undefined) {
      this.#change(projectId, { from: organizationId, revision, at });
      return;
    }
    const { before } = arriving;
    if (before === undefined) this.lives.delete(projectId);
    else this.lives.set(projectId, { ...before, revision });
  }

  /** At the source the project ends; at the destination it has arrived. */
  #migrate(emitted: ProjectMigrated, at: string): void {
    const { projectId, oldOrganizationId, newOrganizationId, revision } = emitted;
    const before = this.lives.get(projectId);
    const hasCome = before?.arriving !== undefined;
    const owner = hasCome ? newOrganizationId : oldOrganizationId;
    this.#change(projectId, { from: owner, revision, at, exists: hasCome });
    const life = this.lives.get(projectId);
    if (life !== undefined && !hasCome) this.lives.set(projectId, { ...life, isAway: true });
  }

  #count(organizationId: string): number {
    let count = 0;
    for (const life of this.lives.values()) {
      if (life.exists && life.organizationId === organizationId) count++;
    }
    return count;
  }

  #checkQuota(organizationId: string, at: string): void {
    const limit = this.#limits.get(organizationId);
    const count = this.#count(organizationId);
    this.#findings.expect(
      this.#limits.has(organizationId) && (limit === undefined || count <= limit),
      'no organization has ever exceeded its limit',
      `${organizationId} had ${count} of ${limit}, ${at}`,
    );
  }
}
