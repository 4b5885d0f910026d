import { Subscription } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { SearchProjectsResponse } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import test from 'ava';
import { fromJson, toJson } from '../json.ts';

test('empty lists, flags and texts are included, so that scripts need not check for them', (t) => {
  t.deepEqual(toJson(SearchProjectsResponse, { results: [], nextPageToken: '' }), {
    results: [],
    nextPageToken: '',
  });
  const found = SearchProjectsResponse.fromPartial({
    results: [{ project: { id: 'prj_1', settings: { timeZone: 'UTC' } }, current: false }],
  });
  t.like(toJson(SearchProjectsResponse, found), {
    results: {
      0: {
        project: { id: 'prj_1', name: '', settings: { timeZone: 'UTC', appUrls: [] } },
        organizationName: '',
        current: false,
      },
    },
  });
});

test('the JSON is proto3 JSON: enum names, RFC 3339 times, unset messages absent', (t) => {
  const updateTime = new Date('2026-01-02T03:04:05.678Z');
  const subscription = Subscription.fromPartial({ plan: 3, projectCount: 0, updateTime });
  t.deepEqual(toJson(Subscription, subscription), {
    organizationId: '',
    plan: 'PLAN_SCALE',
    projectCount: 0,
    updateTime: '2026-01-02T03:04:05.678Z',
    etag: '',
  });
});

test('a message is unchanged after it is written and read', (t) => {
  const found = SearchProjectsResponse.fromPartial({
    results: [{ project: { id: 'prj_1', state: 1 }, organizationName: 'Example', current: true }],
    nextPageToken: 'next',
  });
  const json = toJson(SearchProjectsResponse, found);
  t.deepEqual(SearchProjectsResponse.fromJSON(json), found);
});

test('unknown fields are ignored, an unknown enum name is unspecified, a number is kept', (t) => {
  const read = (plan: string | number) =>
    fromJson(Subscription, {
      organizationId: 'org_1',
      plan,
      updateTime: '2026-01-02T03:04:05.678Z',
      ofTomorrow: { values: [1] },
    });
  const expected = { organizationId: 'org_1', updateTime: new Date('2026-01-02T03:04:05.678Z') };
  t.like(read('PLAN_SCALE'), { ...expected, plan: 3 });
  t.like(read('PLAN_OF_TOMORROW'), { ...expected, plan: 0 });
  t.like(read(987), { plan: 987 });
});

test('invalid JSON for the message is rejected', (t) => {
  t.throws(() => fromJson(Subscription, { projectCount: 'many' }));
  t.throws(() => fromJson(Subscription, []));
});
