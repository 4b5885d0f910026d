import type { ActivityEntry } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import type { Cli } from './cli.ts';
import { CallFailure } from './failure.ts';
import type { NameOf } from './names.ts';
import { type Span, textOf } from './text.ts';

/** What is known of a project that an organization has no longer. */
type Departed = {
  name?: string;
  /** What the log said last of where it is: a change that brought it here, or took it away. */
  last?: ActivityEntry;
};

// Beyond it, ids are shown in place of names.
const pagesMax = 10;

/**
 * The names of projects that an organization has or had: of those that are no longer to be seen by its
 * activity log, with what became of them.
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
    // A key may lack the scope: the numbers are shown all the same.
    if (!(error instanceof CallFailure)) throw error;
  }
  const organizationOf = await lookUp(found.destinations());
  return (id) => (unseen.has(id) ? found.textFor(id, organizationId, organizationOf) : nameOf(id));
}

/**
 * Collects what a log says of projects.
 * @internal Exported for tests.
 */
export class Departures {
  readonly #projects: Map<string, Departed>;

  constructor(ids: Iterable<string>) {
    this.#projects = new Map([...ids].map((id) => [id, {}]));
  }

  /** The next entries of a log that is read from its newest. */
  add(entries: readonly ActivityEntry[]): void {
    for (const entry of entries) {
      const project = this.#projects.get(entry.projectId);
      if (project === undefined) continue;
      const name = nameIn(entry);
      if (name !== undefined) project.name ??= name;
      if (isPassage(entry)) project.last ??= entry;
    }
  }

  /** Whether older entries cannot say more. */
  get isComplete(): boolean {
    return [...this.#projects.values()].every(({ name, last }) => name !== undefined && last);
  }

  /** The organizations that projects went to. */
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

/** The name that a project has after a change, or had when it was deleted. */
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
