import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { Document, Filter } from 'mongodb';
import type { ProjectDocument } from './documents.ts';

const active = ProjectState.PROJECT_STATE_ACTIVE;

/** A place in the order of a search: after this project, by its organization, name and id. */
type SearchPosition = { organizationId: string; searchName: string; id: string };

/** Which projects are searched. */
export type Search = {
  /** Of these organizations, in the order of the answer. */
  organizationIds: readonly string[];
  /** Part of the folded name; '' for all. Data, never a pattern. */
  text: string;
  /** Organizations whose projects are all found, whatever their names. */
  wholeIds: readonly string[];
  /** Where given: only projects of these organizations, and these projects. */
  only?: { organizationIds: readonly string[]; projectIds: readonly string[] } | undefined;
  after?: SearchPosition | undefined;
  size: number;
};

/** Where a search finds a project: all of it is in the index. */
export type SearchKey = Pick<ProjectDocument, '_id' | 'organizationId' | 'searchName'>;

/**
 * Finds at most `limit` keys of some of a search's organizations in one query, in the index alone.
 * Those of one organization come in the index's order, so that the query ends with the last of them.
 */
export function searchPipeline(
  search: Search,
  organizationIds: readonly string[],
  limit: number,
): Document[] {
  const { after } = search;
  const [organizationId] = organizationIds;
  const isOne = organizationIds.length === 1;
  const match: Filter<ProjectDocument> = {
    organizationId: isOne ? organizationId : { $in: [...organizationIds] },
    state: active,
  };
  if (isOne && after?.organizationId === organizationId) {
    match.$and = [{ searchName: { $gte: after?.searchName } }];
  }
  const { text, wholeIds } = search;
  const wholeCount = organizationIds.filter((id) => wholeIds.includes(id)).length;
  const isNamed = text !== '' && wholeCount === 0;
  if (isNamed) match.searchName = { $regex: literally(text) };
  const isMixed = text !== '' && wholeCount > 0 && wholeCount < organizationIds.length;
  return [
    { $match: match },
    ...(isOne ? [{ $sort: { searchName: 1, _id: 1 } }] : []),
    {
      $project: {
        organizationId: 1,
        searchName: 1,
        ...(!isOne && { place: { $indexOfArray: [literal(organizationIds), '$organizationId'] } }),
        isFound: { $and: searchConditions(search, isMixed) },
      },
    },
    { $match: { isFound: true } },
    ...(isOne ? [] : [{ $sort: { place: 1, searchName: 1, _id: 1 } }]),
    { $limit: limit },
  ];
}

/** What the index does not bound is an expression of its keys: a filter would read documents. */
function searchConditions({ text, wholeIds, only, after }: Search, isMixed: boolean): Document[] {
  const conditions: Document[] = [];
  if (isMixed) {
    const isNamed = { $gte: [{ $indexOfBytes: ['$searchName', literal(text)] }, 0] };
    conditions.push({ $or: [{ $in: ['$organizationId', literal(wholeIds)] }, isNamed] });
  }
  if (only !== undefined) {
    const isInOrganization = { $in: ['$organizationId', literal(only.organizationIds)] };
    conditions.push({ $or: [isInOrganization, { $in: ['$_id', literal(only.projectIds)] }] });
  }
  if (after !== undefined) {
    const [organizationId, searchName, id] = [
      literal(after.organizationId),
      literal(after.searchName),
      literal(after.id),
    ];
    const isSameName = { $eq: ['$searchName', searchName] };
    conditions.push({
      $or: [
        { $ne: ['$organizationId', organizationId] },
        { $gt: ['$searchName', searchName] },
        { $and: [isSameName, { $gt: ['$_id', id] }] },
      ],
    });
  }
  return conditions;
}

/** Data in an expression, whatever it begins with. */
function literal(value: string | readonly string[]): Document {
  return { $literal: typeof value === 'string' ? value : [...value] };
}

/** A regular expression that matches exactly this text, whatever stands in it. */
function literally(text: string): string {
  // NUL in particular: the server refuses one, though not its escape.
  return text.replaceAll(/[^\p{L}\p{N}]/gu, (character) => {
    const point = character.codePointAt(0) ?? 0;
    return `\\x{${point.toString(16)}}`;
  });
}
