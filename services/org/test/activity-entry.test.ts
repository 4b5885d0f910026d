import * as events from '@silo/protos/gen/silo/events/v1/events.ts';
import { ListActivityResponse } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { loadImage } from '@silo/protos/image.ts';
import test from 'ava';
import { activityMessage } from '../messages.ts';
import { converters, entryOf } from '../rules/activity-entry.ts';
import { acc, by, change, mov, org, other, prj, rows, time } from './activity-entry-rows.ts';

function entryFor(type: string, body: Record<string, unknown>) {
  return entryOf({
    id: 'evt_1',
    type: `internal.silo.${type}.v1`,
    time,
    actor: acc,
    body: { ...body, ...by },
  });
}

for (const [index, { message, type, body, entry }] of rows.entries()) {
  const seen = entry === undefined ? 'nobody sees it' : 'the organizations that it names see it';
  test(`${message} (row ${index + 1}): ${seen}`, (t) => {
    const empty = { projectId: '', subjectId: '', moveId: '', undoOf: '', changes: [] };
    const expected = entry && { ...empty, id: 'evt_1', time, type, actor: acc, ...entry };
    t.deepEqual(entryFor(type, body) as unknown, expected);
  });
}

test('every message of events.proto has a row and a converter', (t) => {
  const messages = Object.entries(events)
    .filter(([, value]) => typeof value === 'object' && value !== null && 'fromJSON' in value)
    .map(([name]) => name)
    .filter((name) => name !== 'FieldChange');
  t.true(messages.length > 20);
  t.deepEqual([...new Set(rows.map(({ message }) => message))].sort(), messages.sort());
  t.deepEqual([...new Set(rows.map(({ type }) => type))].sort(), Object.keys(converters).sort());
});

const { types } = loadImage();

/** The JSON names of the enum fields of an event's message. */
function enumFieldsOf(message: string): string[] {
  const fields = types.getMessage(`silo.events.v1.${message}`)?.fields ?? [];
  return fields.filter((field) => field.enum !== undefined).map(({ jsonName }) => jsonName);
}

const withEnums = rows.filter(({ message }) => enumFieldsOf(message).length > 0);

test('a plan of a newer release is shown by its name', (t) => {
  const body = { organizationId: org, oldPlan: 'PLAN_FREE', plan: 'PLAN_OF_TOMORROW' };
  t.deepEqual(entryFor('billing.plan_changed', body)?.changes, [
    { field: 'plan', from: 'PLAN_FREE', to: 'PLAN_OF_TOMORROW' },
  ]);
});

for (const { message, type, body } of withEnums) {
  for (const [given, shown] of [
    ['VALUE_OF_TOMORROW', 'VALUE_OF_TOMORROW'],
    [987, 'UNKNOWN (987)'],
  ] as const) {
    test(`${message}: its entry shows the unknown enum value ${given}`, (t) => {
      for (const field of enumFieldsOf(message)) {
        const entry = entryFor(type, { ...body, [field]: given });
        const known = entryFor(type, body);
        t.deepEqual({ ...entry, changes: [] }, { ...known, changes: [] });
        const texts = entry?.changes.flatMap(({ from, to }) => [from, to]);
        t.true(texts?.includes(shown), field);
      }
    });
  }
}

test('every event with an enum has a row', (t) => {
  const messages = new Set(withEnums.map(({ message }) => message));
  t.true(messages.size >= 6);
});

for (const [index, { message, type, body }] of rows.entries()) {
  test(`${message} (row ${index + 1}): a field of a newer release does not change the entry`, (t) => {
    const newer = { ...body, ofTomorrow: { values: [1, 'x'] } };
    t.deepEqual(entryFor(type, newer), entryFor(type, body));
  });
}

const unreadable: [what: string, type: string][] = [
  ['an event that a newer release invented', 'project.teleported'],
  ['a newer version of an event', 'org.member_added.v2'],
];

for (const [what, type] of unreadable) {
  test(`${what} creates an entry for the organizations that it names`, (t) => {
    const entry = entryOf({
      id: 'evt_1',
      type: type.endsWith('.v2') ? `internal.silo.${type}` : `internal.silo.${type}.v1`,
      time,
      actor: acc,
      body: { organizationId: org, projectId: prj, speed: 'WARP' },
    });
    t.deepEqual(entry, {
      ...{ id: 'evt_1', time, type, actor: acc, organizationIds: [org], projectId: prj },
      ...{ subjectId: '', moveId: '', undoOf: '', changes: [] },
    });
  });
}

test('an event that cannot be decoded creates an entry for the organizations that it names', (t) => {
  const moved = { oldOrganizationId: org, newOrganizationId: other, projectId: prj, moveId: mov };
  const entry = entryFor('project.moved', { ...moved, projectCount: 'many' });
  t.like(entry, { type: 'project.moved', projectId: prj, moveId: mov, changes: [] });
  t.deepEqual(entry?.organizationIds, [org, other]);
});

test('an unknown event that names no organization creates no entry', (t) => {
  t.is(entryFor('project.teleported', { projectId: prj }), undefined);
  t.is(entryFor('constructor', {}), undefined);
  for (const body of [null, 'text', [], 7, { organizationId: 7 }]) {
    const event = { id: 'x', type: 'internal.silo.project.created.v1', time, actor: acc, body };
    t.is(entryOf(event), undefined);
  }
});

test('an entry that an older release stored is returned', (t) => {
  const stored = {
    ...{ _id: 'evt_1', sequence: 1, time, type: 'project.created', actor: acc },
    ...{ organizationIds: [org], projectId: prj, subjectId: '', moveId: '', changes: [change] },
  };
  const bytes = ListActivityResponse.encode({
    entries: [activityMessage(stored)],
    nextPageToken: '',
  }).finish();
  const [entry] = ListActivityResponse.decode(bytes).entries;
  t.like(entry, { id: 'evt_1', type: 'project.created', undoOf: '', changes: [change] });
});
