import type { ActivityEntry } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { isId } from '@silo/tokens/ids.ts';
import type { Cli } from '../cli.ts';
import { type NameOf, namesFrom } from '../names.ts';
import { idsIn } from '../render/activity.ts';

/** Selects entries of the activity log. */
export type ActivityLog = {
  target: { organizationId: string; projectId: string };
  since: Date | undefined;
  /** An account's id, `silo`, or the name of a staff certificate. */
  actor: string | undefined;
};

const pageSizeMax = 1_000;
// Pages to read for the entries of one person, which are filtered here.
const pagesMax = 50;

/** The account id for an e-mail address; every other value unchanged. */
export async function actorOf(
  cli: Cli,
  target: ActivityLog['target'],
  by: string,
): Promise<string> {
  if (isId('account', by) || !by.includes('@')) return by;
  const { find } = await cli.signedIn();
  return (await find.member(await organizationOf(cli, target), by)).accountId;
}

/** The newest selected entries, and how to see more. */
export async function readActivity(
  cli: Cli,
  { target, since, actor }: ActivityLog,
  limit: number,
): Promise<{ entries: ActivityEntry[]; nextPageToken: string; more: string }> {
  const { api } = await cli.signedIn();
  const entries: ActivityEntry[] = [];
  let pageToken = '';
  let pages = 0;
  do {
    const wanted = actor === undefined ? limit - entries.length : pageSizeMax;
    const pageSize = Math.min(wanted, pageSizeMax);
    const page = await api.activity.listActivity({ ...target, pageSize, pageToken });
    const recent = page.entries.filter(
      ({ time }) => !since || (time !== undefined && time >= since),
    );
    entries.push(...recent.filter((entry) => actor === undefined || entry.actor === actor));
    // Older pages hold only older entries.
    pageToken = recent.length < page.entries.length ? '' : page.nextPageToken;
    pages++;
  } while (pageToken !== '' && entries.length < limit && pages < pagesMax);
  const isMore = pageToken !== '' || entries.length > limit;
  const isCutShort = pageToken !== '' && entries.length < limit;
  const narrow = 'Not all entries were read: --since narrows the search.';
  return {
    entries: entries.slice(0, limit),
    nextPageToken: pageToken,
    more: isCutShort ? narrow : isMore ? 'There is more: --limit N' : '',
  };
}

/** Names for the ids in these entries, to show to people. */
export async function namesIn(
  cli: Cli,
  { target }: ActivityLog,
  entries: readonly ActivityEntry[],
): Promise<NameOf> {
  if (cli.globals().json || entries.length === 0) return namesFrom(new Map());
  const { lookUp } = await cli.signedIn();
  return await lookUp(idsIn(entries), [await organizationOf(cli, target)]);
}

async function organizationOf(
  cli: Cli,
  { organizationId, projectId }: ActivityLog['target'],
): Promise<string> {
  if (organizationId !== '') return organizationId;
  const { find } = await cli.signedIn();
  return (await find.project(projectId)).organizationId;
}
