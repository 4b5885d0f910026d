import { ActivityEntry } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import test from 'ava';
import { Departures } from '../departed-projects.ts';
import { namesFrom } from '../names.ts';
import { textOf } from '../text.ts';

const [here, acme, there] = ['org_us_1', 'org_us_2', 'org_eu_1'];
const organizations = namesFrom(new Map([[acme, 'Acme']]));

function entry(type: string, ...changes: [field: string, from: string, to: string][]) {
  return ActivityEntry.fromPartial({
    ...{ type: `project.${type}`, projectId: 'prj_1', time: new Date('2027-01-31T12:00:00Z') },
    changes: changes.map(([field, from, to]) => ({ field, from, to })),
  });
}

const created = entry('created', ['name', '', 'Web']);
const renamed = entry('updated', ['name', 'Web', 'Shop']);
const moved = (from: string, to: string) => entry('moved', ['organization_id', from, to]);
const deleted = entry('deleted', ['name', 'Web', '']);

// Newest first, in the order in which the log is read.
const logs: [what: string, entries: ActivityEntry[], text: string][] = [
  ['a deleted project', [deleted, created], 'Web (deleted 2027-01-31)'],
  [
    'a project that was renamed earlier',
    [moved(here, acme), renamed, created],
    'Shop (moved to Acme)',
  ],
  [
    'a project in an organization that the caller cannot see',
    [moved(here, 'org_us_9'), created],
    'Web (moved to another organization)',
  ],
  [
    'a project in another region',
    [entry('migrated', ['region', 'us', 'eu'], ['organization_id', here, there]), created],
    'Web (migrated to eu)',
  ],
  [
    'a project that arrived, and whose name is not in the log',
    [moved(here, acme), moved(acme, here)],
    'prj_1 (moved to Acme)',
  ],
  [
    'a project that has come back',
    [moved(acme, here), moved(here, acme), created],
    'Web (hidden from you)',
  ],
  ['a project that is not in the log', [], 'prj_1 (gone, or hidden from you)'],
];

for (const [what, entries, text] of logs) {
  test(`the text for a departed project comes from the log: ${what}`, (t) => {
    const found = new Departures(['prj_1']);
    for (const each of entries) found.add([each]);
    t.is(textOf(found.textFor('prj_1', here, organizations)), text);
  });
}

test('the log is read until the name and the departure of each project are known', (t) => {
  const found = new Departures(['prj_1']);
  found.add([moved(here, acme)]);
  t.false(found.isComplete);
  found.add([created]);
  t.true(found.isComplete);
  t.deepEqual(found.destinations(), [acme]);
});
