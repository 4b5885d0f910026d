import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { Binary, type Collection, type Db, type Document } from 'mongodb';
import { type Counts, countedValue, type Grouping, Tally } from '../rules/events/counting.ts';
import { isCovered } from '../rules/events/deletions.ts';
import { type CheckedFilter, isExact, matches } from '../rules/events/filter.ts';
import {
  indexable,
  isScalar,
  type Places,
  type Scalar,
} from '../rules/events/indexed-properties.ts';
import { ownProperty } from '../rules/events/json-text.ts';
import { uuidText } from '../rules/events/uuid.ts';
import {
  bytesOf,
  type CapturedEventDocument,
  collectionName,
  indexedValue,
} from './event-collection.ts';
import {
  type EventPosition,
  type EventQuery,
  eventQueries,
  narrowFor,
  openCursors,
  type PageWanted,
  scan,
} from './event-queries.ts';
import type { StoredEvent } from './stored-event.ts';

/**
 * Maximum number of events that one page scans if MongoDB counts, without reading their properties.
 */
const countedMax = 50_000;
/** Every time zone offset since 1980 is a multiple of this (a test checks it with Intl). */
const binMs = 15 * 60 * 1000;
const binsSince = new Date('1980-01-01T00:00:00Z');
const firstUuid = '00000000-0000-0000-0000-000000000000';

/** The counts of a page of events, and where the next page begins; undefined if it is the last. */
export type CountsPage = Counts & { next: EventPosition | undefined };

/** `size` is the maximum number of listed groups. */
type Wanted = PageWanted & { grouping: Grouping };

/** Some events of one group, as counted by MongoDB. */
type Row = {
  _id: Date | Scalar | Binary | Uint8Array;
  count: number;
  /** Number of scanned events. */
  scanned: number;
  /** The oldest scanned event. */
  last: { time: Date; uuid: Binary };
};

/** Counts captured events. Every method counts the events of one project. */
export type EventCounts = ReturnType<typeof createEventCounts>;

export function createEventCounts(db: Db) {
  const events: Collection<CapturedEventDocument> = db.collection(
    collectionName,
    collectionOptions,
  );

  /** MongoDB counts, with indexes and fields. */
  const countThere = async (
    projectId: string,
    filter: CheckedFilter,
    { grouping, after, size }: Wanted,
    signal: AbortSignal,
  ): Promise<CountsPage> => {
    const rows: Row[] = [];
    let left = countedMax;
    for (const query of eventQueries(projectId, filter, after)) {
      const pipeline = countPipeline(query, filter, grouping, left);
      const counted = events.aggregate<Row>(pipeline, { ...bounded, hint: query.hint });
      const found = await reading(counted.toArray(), signal);
      left -= found.reduce((sum, { scanned }) => sum + scanned, 0);
      rows.push(...found);
      if (left === 0) break;
    }
    const tally = new Tally(grouping, size);
    const cut = addRows(tally, rows, grouping);
    return { ...tally.counts(), next: cut ?? (left === 0 ? oldestOf(rows) : undefined) };
  };

  /** The process compares the events with their properties. */
  const countHere = async (
    projectId: string,
    filter: CheckedFilter,
    { grouping, deletions, after, size }: Wanted,
    signal: AbortSignal,
  ): Promise<CountsPage> => {
    const tally = new Tally(grouping, size);
    const take = (event: StoredEvent) => {
      if (!matches(filter, event) || isCovered(deletions, event)) return true;
      if (grouping.by === 'hour' || grouping.by === 'day') return tally.addAt(event.time, 1);
      tally.addValue(groupValueOf(event, grouping), 1);
      return true;
    };
    const narrow = await narrowFor(events, projectId, filter, signal);
    const cursors = openCursors(events, eventQueries(projectId, filter, after, { narrow }));
    const next = await reading(scan(cursors, take), signal);
    return { ...tally.counts(), next };
  };

  return {
    /**
     * Counts the events that match and are not deleted, newest first, from a position to the end of
     * the page.
     */
    async count(
      projectId: string,
      filter: CheckedFilter,
      wanted: Wanted,
      signal: AbortSignal,
    ): Promise<CountsPage> {
      const { grouping, deletions } = wanted;
      const isThere =
        isExact(filter) &&
        groupedBy(grouping, filter.places) !== undefined &&
        deletions.length === 0;
      return await (isThere ? countThere : countHere)(projectId, filter, wanted, signal);
    },
  };
}

/**
 * Returns one row for each group of the first `limit` events that a query finds.
 * @internal Exported for tests.
 */
export function countPipeline(
  { query, sort }: EventQuery,
  filter: CheckedFilter,
  grouping: Grouping,
  limit: number,
): Document[] {
  return [
    { $match: query },
    { $sort: sort },
    { $limit: limit },
    {
      $group: {
        _id: groupedBy(grouping, filter.places),
        count: { $sum: { $cond: [{ $and: conditionsOf(filter) }, 1, 0] } },
        scanned: { $sum: 1 },
        last: { $last: { time: '$time', uuid: '$_id.uuid' } },
      },
    },
  ];
}

/**
 * The expression by which MongoDB groups; undefined if the group depends on the text of the
 * properties.
 */
function groupedBy(grouping: Grouping, places: Places): unknown {
  switch (grouping.by) {
    case 'total':
      return null;
    case 'hour':
    case 'day': {
      const bin = { $subtract: ['$time', { $mod: [{ $toLong: '$time' }, binMs] }] };
      return { $cond: [{ $lt: ['$time', binsSince] }, '$time', bin] };
    }
    case 'name':
      return '$name';
    case 'property': {
      const place = places.get(grouping.property);
      return place === undefined ? undefined : `$x${place}`;
    }
  }
}

/**
 * The conditions of the filter that the query's index may not decide. User texts are only used as
 * values.
 */
function conditionsOf({ names, distinctId, conditions, places }: CheckedFilter): Document[] {
  const among = (field: string, values: unknown[]) => ({ $in: [field, { $literal: values }] });
  return [
    ...(names.length > 0 ? [among('$name', names)] : []),
    ...(distinctId === undefined ? [] : [among('$distinctId', [distinctId])]),
    ...conditions.map(({ name, operands }) => {
      const values = operands.map(({ value }) => indexedValue(indexable(value)));
      return among(`$x${places.get(name)}`, values);
    }),
  ];
}

/** Adds rows to the tally. Returns where the next page begins if the tally has no room for all. */
function addRows(tally: Tally, rows: readonly Row[], { by }: Grouping): EventPosition | undefined {
  if (by !== 'hour' && by !== 'day') {
    for (const { _id, count } of rows) if (count > 0) tally.addValue(valueIn(_id), count);
    return undefined;
  }
  const bins = rows.flatMap(({ _id, count }) =>
    _id instanceof Date && count > 0 ? [{ time: _id, count }] : [],
  );
  for (const { time, count } of bins.sort((a, b) => b.time.getTime() - a.time.getTime())) {
    if (!tally.addAt(time, count)) return { time: tally.oldestGroup ?? time, uuid: firstUuid };
  }
  return undefined;
}

/** The value null is stored as an empty binary; a missing field is null here. */
function valueIn(id: Row['_id']): Scalar | undefined {
  if (id instanceof Binary || id instanceof Uint8Array) return null;
  return isScalar(id) && id !== null ? id : undefined;
}

function oldestOf(rows: readonly Row[]): EventPosition | undefined {
  const places = rows.map(({ last: { time, uuid } }) => ({ time, uuid: uuidText(bytesOf(uuid)) }));
  return places.reduce<EventPosition | undefined>((oldest, place) => {
    if (oldest === undefined) return place;
    const isOlder =
      place.time.getTime() - oldest.time.getTime() || (place.uuid < oldest.uuid ? -1 : 1);
    return isOlder < 0 ? place : oldest;
  }, undefined);
}

function groupValueOf(
  { name, parsed }: Pick<StoredEvent, 'name' | 'parsed'>,
  grouping: Grouping,
): Scalar | undefined {
  if (grouping.by === 'name') return name;
  if (grouping.by !== 'property') return undefined;
  const value = ownProperty(parsed.object, grouping.property);
  return value === undefined ? undefined : countedValue(value);
}
