import type { ActivityEntry } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import type { Cli } from './cli.ts';
import { CallFailure } from './failure.ts';
import type { NameOf } from './names.ts';
import { type Span, textOf } from './text.ts';

/** What is known about a project that an organization no longer has. */
type Departed = {
  name?: string;
  /**
   * The last entry of the log that says where the project is: a change that brought it here or took
   * it away.
   */
  last?: ActivityEntry;
};

// If the log has more pages, ids are shown in place of the names that were not found.
const pagesMax = 10;

/**
 * The names of projects that an organization has or had. Names come from the activity log for
 * projects that the organization no longer has, together with what happened to them.
 */
export async function namesOfEver(
  cli: Cli,
  organizationId: string,
  projectIds: readonly string[],
): Promise<NameOf> {
  const { api, lookUp } = await cli.signedIn();
  const nameOf = await lookUp(projectIds);
  const unseen = new Set(projectIds.filter((id) => textOf(nameOf(id)) === id));
  if (unseen.size === 0 || cli.globals().json) return nameOf;
  const found = new Departures(unseen);
  try {
    let pageToken = '';
    for (let pages = 0; pages < pagesMax && !found.isComplete; pages++) {
      const request = { organizationId, projectId: '', pageSize: 1_000, pageToken };
      const { entries, nextPageToken } = await api.activity.listActivity(request);
      found.add(entries);
      pageToken = nextPageToken;
      if (pageToken === '') break;
    }
  } catch (error) {
    // A key may lack the scope; then the numbers are shown without names.
    if (!(error instanceof CallFailure)) throw error;
  }
  const organizationOf = await lookUp(found.destinations());
  return (id) => (unseen.has(id) ? found.textFor(id, organizationId, organizationOf) : nameOf(id));
}

/**
 * Collects what an activity log says about projects.
 * @internal Exported for tests.
 */
export class Departures {
  readonly #projects: Map<string, Departed>;

  constructor(ids: Iterable<string>) {
    this.#projects = new Map([...ids].map((id) => [id, {}]));
  }

  /** Adds the next entries of a log that is read from its newest entry. */
  add(entries: readonly ActivityEntry[]): void {
    for (const entry of entries) {
      const project = this.#projects.get(entry.projectId);
      if (project === undefined) continue;
      const name = nameIn(entry);
      if (name !== undefined) project.name ??= name;
      if (isPassage(entry)) project.last ??= entry;
    }
  }

  /** Whether older entries can add nothing. */
  get isComplete(): boolean {
    return [...this.#projects.values()].every(({ name, last }) => name !== undefined && last);
  }

  /** The organizations that projects moved to. */
  destinations(): string[] {
    const lasts = [...this.#projects.values()].flatMap(({ last }) => last ?? []);
    return lasts.flatMap((entry) => valueAfter(entry, 'organization_id') ?? []);
  }

  /** `Web (moved to Acme)`. */
  textFor(id: string, organizationId: string, organizationOf: NameOf): Span {
    const { name, last } = this.#projects.get(id) ?? {};
    const became = becameText(last, organizationId, organizationOf);
    return name === undefined ? `${id} (${became})` : { text: `${name} (${became})`, id };
  }
}

const passages = [
  ...['project.created', 'project.deleted', 'project.undeleted'],
  ...['project.moved', 'project.migrated'],
];

function isPassage({ type }: ActivityEntry): boolean {
  return passages.includes(type);
}

/** The name of a project after a change, or at its deletion. */
function nameIn({ changes }: ActivityEntry): string | undefined {
  const change = changes.find(({ field }) => field === 'name');
  return change && (change.to || change.from);
}

function valueAfter({ changes }: ActivityEntry, wanted: string): string | undefined {
  return changes.find(({ field }) => field === wanted)?.to;
}

function becameText(
  last: ActivityEntry | undefined,
  organizationId: string,
  organizationOf: NameOf,
): string {
  const to = last && valueAfter(last, 'organization_id');
  const isHere = to === organizationId;
  if (last?.type === 'project.deleted') {
    return `deleted ${last.time?.toISOString().slice(0, 10) ?? ''}`.trimEnd();
  }
  if (last?.type === 'project.migrated' && !isHere) {
    return `migrated to ${valueAfter(last, 'region') ?? 'another region'}`;
  }
  if (last?.type === 'project.moved' && to && !isHere) {
    const name = textOf(organizationOf(to));
    return `moved to ${name === to ? 'another organization' : name}`;
  }
  return last === undefined ? 'gone, or hidden from you' : 'hidden from you';
}
