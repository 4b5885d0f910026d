import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { Document, Filter } from 'mongodb';
import type { ProjectDocument } from './documents.ts';

const active = ProjectState.PROJECT_STATE_ACTIVE;

/** A position in the order of a search: after this project, by organization, name and id. */
type SearchPosition = { organizationId: string; searchName: string; id: string };

/** The parameters of a search. */
export type Search = {
  /** The searched organizations, in the order of the result. */
  organizationIds: readonly string[];
  /** Part of the folded name; '' for all. Never interpreted as a pattern. */
  text: string;
  /** Organizations whose projects all match, regardless of their names. */
  wholeIds: readonly string[];
  /** If given, restricts the search to these projects and all projects of these organizations. */
  only?: { organizationIds: readonly string[]; projectIds: readonly string[] } | undefined;
  after?: SearchPosition | undefined;
  size: number;
};

/** The sort key of a found project; the index contains all of it. */
export type SearchKey = Pick<ProjectDocument, '_id' | 'organizationId' | 'searchName'>;

/**
 * Finds at most `limit` keys of some of the searched organizations in one query, from the index
 * alone. For one organization, results come in the index's order, so that the query stops at the
 * limit.
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

/**
 * The conditions that the index does not bound, as expressions of its keys: a filter would read
 * documents.
 */
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

/** A literal in an expression, even if it begins with `$`. */
function literal(value: string | readonly string[]): Document {
  return { $literal: typeof value === 'string' ? value : [...value] };
}

/** A regular expression that matches exactly this text. */
function literally(text: string): string {
  // Needed for NUL in particular: the server rejects it unless it is escaped.
  return text.replaceAll(/[^\p{L}\p{N}]/gu, (character) => {
    const point = character.codePointAt(0) ?? 0;
    return `\\x{${point.toString(16)}}`;
  });
}
