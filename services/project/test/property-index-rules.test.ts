import { reasonName } from '@silo/errors/reason-name.ts';
import { ProjectState, PropertyIndexState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { Call } from '@silo/rpc/call.ts';
import test from 'ava';
import { refusalBy } from '../../../test/harness/refusals.ts';
import { withIndexes } from '../handlers/shared/with-indexes.ts';
import { projectMessage } from '../messages.ts';
import { indexedOf, type Places, placesWith } from '../rules/events/indexed-properties.ts';
import {
  checkChosen,
  chooseIndexes,
  chosenMax,
  type PropertyIndex,
  writtenIndexes,
} from '../rules/property-indexes.ts';

const building = (name: string, place: number, since = 1): PropertyIndex => ({
  ...{ name, place, since },
  state: 'building',
});

const ready = (name: string, place: number): PropertyIndex => ({
  ...building(name, place),
  state: 'ready',
});

test('a state of an index that a newer release has stored is shown as unspecified', (t) => {
  const index = { ...building('plan', 2), state: 'paused' as PropertyIndex['state'] };
  const message = projectMessage({
    ...{ _id: 'prj_1', organizationId: 'org_us_1', name: 'Web', searchName: 'web', foldVersion: 1 },
    settings: { timeZone: 'UTC', appUrls: [], anonymizeIps: false },
    ...{ state: ProjectState.PROJECT_STATE_ACTIVE, revision: 1, propertyIndexes: [index] },
    ...{ createTime: new Date(0), updateTime: new Date(0) },
  });
  const { PROPERTY_INDEX_STATE_UNSPECIFIED: unspecified } = PropertyIndexState;
  t.deepEqual(message.propertyIndexes, [{ name: 'plan', state: unspecified }]);
});

test('a newly chosen property gets a free place, and the others keep theirs', (t) => {
  const first = chooseIndexes([], ['plan', 'a.b'], 1);
  t.deepEqual(first, [building('plan', 2), building('a.b', 3)]);
  t.deepEqual(chooseIndexes([ready('plan', 2)], ['color', 'plan'], 5), [
    ready('plan', 2),
    building('color', 3, 5),
  ]);
});

test('a deselected property keeps its place until its values are removed', (t) => {
  const removing = { ...ready('plan', 2), state: 'removing' as const, since: 5 };
  t.deepEqual(chooseIndexes([ready('plan', 2)], [], 5), [removing]);
  t.deepEqual(chooseIndexes([removing], ['plan'], 6), [removing, building('plan', 3, 6)]);
  t.deepEqual(writtenIndexes([removing, building('plan', 3)]), [building('plan', 3)]);
});

test('a change is refused while all places are taken, even by values that are being removed', (t) => {
  const names = Array.from({ length: chosenMax }, (_, index) => `p${index}`);
  const full = chooseIndexes([], names, 1);
  const others = [...names.slice(1), 'other'];
  t.is(reasonName(refusalBy(() => chooseIndexes(full, others, 2)).reason), 'REQUEST_IN_PROGRESS');
});

test('properties that are indexed in every project cannot be chosen', (t) => {
  const refused = refusalBy(() => checkChosen(['plan', '$host'], 'settings.indexed_properties'));
  t.is(refused.details.badRequest?.[0]?.field, 'settings.indexed_properties[1]');
});

test('captures write the scalars of the properties that their project indexes', (t) => {
  const properties: Record<string, unknown> = { $host: 'a', plan: null, deep: { a: 1 } };
  const places = placesWith([building('plan', 2), building('deep', 3), building('absent', 4)]);
  t.deepEqual(
    indexedOf(places, (name) => properties[name]),
    [
      { place: 0, value: 'a' },
      { place: 2, value: null },
    ],
  );
});

test('a read whose index is removed meanwhile is repeated without it', async (t) => {
  const capture = { appUrls: [], anonymizeIps: false, indexedProperties: [building('plan', 2)] };
  const caller = { kind: 'key', project: { id: 'prj', fact: { capture } } };
  const call = { caller, signal: AbortSignal.timeout(600_000) } as unknown as Call;
  const used = async (answers: PropertyIndex[][]) => {
    const reads: Places[] = [];
    const indexes = { ready: async () => answers.shift() ?? [] };
    await withIndexes(call, ['plan'], indexes, async (places) => reads.push(places));
    return reads.map((places) => places.get('plan'));
  };
  t.deepEqual(await used([[ready('plan', 2)], [ready('plan', 2)]]), [2]);
  t.deepEqual(await used([[ready('plan', 2)], []]), [2, undefined]);
  const again = { ...ready('plan', 2), since: 9 };
  t.deepEqual(
    await used([[ready('plan', 2)], [again]]),
    [2, undefined],
    'its place belongs to another property',
  );
  t.deepEqual(await used([[]]), [undefined]);
});
