import { bareName } from '@silo/protos/enum-name.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  Migration,
  MigrationProgress,
  MigrationState,
} from '@silo/protos/gen/silo/project/v1/migration.ts';
import { PreviewMigrationResponse } from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import test from 'ava';
import { namesFrom } from '../names.ts';
import {
  durationText,
  endedBlocks,
  migrationBlocks,
  migrationPreviewBlocks,
  migrationsBlocks,
  nextBlocks,
  progressLine,
  purgeBlocks,
} from '../render/migrations.ts';
import { type Block, toText } from '../text.ts';

const plain = (blocks: readonly Block[]) => toText(blocks, { colour: false });

const names = namesFrom(new Map([['org_us_1', 'Example']]));
type Fields = Partial<Omit<Migration, 'progress'>> & { progress?: Partial<MigrationProgress> };

function migration({ progress, ...fields }: Fields = {}): Migration {
  return {
    ...Migration.fromPartial({
      ...{ id: 'mig_us_1', projectId: 'prj_1', projectName: 'Web' },
      ...{ sourceRegion: 'us', sourceOrganizationId: 'org_us_1' },
      ...{ destinationRegion: 'eu', destinationOrganizationId: 'org_eu_1' },
      requestTime: new Date('2027-01-31T12:00:00Z'),
    }),
    ...fields,
    progress: progress && { ...MigrationProgress.fromPartial({}), ...progress },
  };
}

test('a preview shows what is copied, what stays behind, who loses access, and the slots', (t) => {
  const preview = PreviewMigrationResponse.fromPartial({
    ...{ events: 12_345, bytes: 5 * 2 ** 20, seconds: 90 },
    destinationOrganizationName: 'Example EU',
    losing: {
      members: [{ accountId: 'acc_1', displayName: 'Bob', level: Level.LEVEL_ADMIN }],
      memberCount: 1,
    },
    source: { organizationId: 'org_us_1', countBefore: 2, countAfter: 1 },
    destination: { organizationId: 'org_eu_1', limit: 6, countBefore: 1, countAfter: 2 },
    leftBehind: ['The activity log.', 'Usage.'],
    planFingerprint: 'f1',
  });
  const plan = {
    project: { id: 'prj_1', name: 'Web' },
    source: { id: 'org_us_1', name: 'Example', region: 'us' },
    destination: { id: 'org_eu_1', region: 'eu' },
  };
  t.is(
    plain(migrationPreviewBlocks(preview, plan)),
    `Migrate Web from Example (us) to Example EU (eu)

what travels    about 12,345 events, 5.0 MiB
the copy takes  about 2 min; the project stays in use

What stays behind:
  The activity log.
  Usage.

WHO  LEVEL  WHAT HAPPENS
Bob  admin  loses access

ORGANIZATION  PROJECTS NOW  AFTER  LIMIT
Example       2             1      unlimited
Example EU    1             2      6

fingerprint f1
`,
  );
});

const obstacles: [what: string, fields: object, said: RegExp | undefined][] = [
  ['nothing', { destination: { limit: 2, countAfter: 2 } }, undefined],
  [
    'a plan without migrations',
    { destinationLacksMigrations: true, destination: { limit: 1, countAfter: 2 } },
    /^It cannot be accepted yet: the plan of Example EU has no migrations to other regions\.\nAn admin there, in eu, changes the plan: silo plan list --profile home, then silo plan change PLAN --org org_eu_1 --profile home\n/m,
  ],
  [
    'no free slot',
    { destination: { limit: 6, countAfter: 7 } },
    /^It cannot be accepted yet: Example EU has no room for one project more\.\n.* silo plan change PLAN --org org_eu_1 --profile home; or silo project delete PROJECT --profile home\n/m,
  ],
];

for (const [what, fields, said] of obstacles) {
  test(`a preview shows what prevents the destination from accepting: ${what}`, (t) => {
    const preview = PreviewMigrationResponse.fromPartial({
      ...{ destinationOrganizationName: 'Example EU', ...fields },
    });
    const text = plain(
      migrationPreviewBlocks(preview, {
        project: { id: 'prj_1', name: 'Web' },
        source: { id: 'org_us_1', name: 'Example', region: 'us' },
        destination: { id: 'org_eu_1', region: 'eu', profile: 'home' },
      }),
    );
    if (said === undefined) t.notRegex(text, /cannot be accepted/);
    else t.regex(text, said);
  });
}

const { MIGRATION_STATE_COPYING: copying, MIGRATION_STATE_DONE: done } = MigrationState;
const { MIGRATION_STATE_VERIFYING: verifying, MIGRATION_STATE_FAILED: failed } = MigrationState;
const { MIGRATION_STATE_REQUESTED: requested, MIGRATION_STATE_ACCEPTED: accepted } = MigrationState;

const lines: [what: string, fields: Fields, line: string][] = [
  [
    'a copy in progress',
    {
      state: copying,
      progress: {
        ...{ eventsTotal: 10_000, eventsCopied: 4_550, eventsPerSecond: 3_000 },
        ...{ secondsLeft: 2, lagMs: 20 },
      },
    },
    'Web  copying  █████████░░░░░░░░░░░  45 % · 4,550 of 10,000 events · 3,000/s · 2 s left · 20 ms behind',
  ],
  [
    'a copy of more than was counted',
    {
      state: copying,
      progress: { eventsTotal: 5_000, eventsCopied: 22_720, eventsPerSecond: 3_000, lagMs: 20 },
    },
    'Web  copying  ░░░░░░░░░░░░░░░░░░░░   ? % · 22,720 events · 3,000/s · time left unknown · 20 ms behind',
  ],
  [
    'a copy whose events were not counted',
    { state: copying, progress: { eventsCopied: 0 } },
    'Web  copying  ░░░░░░░░░░░░░░░░░░░░   ? % · 0 events · time left unknown',
  ],
  [
    'a failed copy',
    { state: failed, progress: { eventsTotal: 10_000, eventsCopied: 4_550 } },
    'Web  failed  █████████░░░░░░░░░░░  45 % · 4,550 of 10,000 events',
  ],
  [
    'a copy whose events exist at the destination already',
    { state: verifying, progress: { eventsTotal: 10_000, eventsCopied: 3 } },
    'Web  verifying  ████████████████████ 100 % · 3 of 10,000 events',
  ],
  [
    'a copy that is being compared',
    {
      state: verifying,
      progress: { eventsTotal: 10_000, eventsCopied: 10_100, rangesVerified: 11, lagMs: 3 },
    },
    'Web  verifying  ████████████████████ 100 % · 10,100 events · 11 ranges verified · 3 ms behind',
  ],
  [
    'a migration that is done',
    { state: done, progress: { eventsTotal: 5, eventsCopied: 5, holdMs: 212 } },
    'Web  done  ████████████████████ 100 % · 5 of 5 events · held 212 ms',
  ],
  [
    'a migration that has not begun',
    { state: accepted },
    'Web  accepted  ░░░░░░░░░░░░░░░░░░░░   0 % · 0 events',
  ],
];

test('the details of a migration omit a total that is less than what is copied', (t) => {
  const shown = (eventsTotal: number) => {
    const progress = { eventsTotal, eventsCopied: 22_720 };
    return plain(migrationBlocks(migration({ state: done, progress }), names));
  };
  t.regex(shown(0), /events copied +22,720\n/);
  t.regex(shown(30_000), /events copied +22,720 of about 30,000\n/);
});

for (const [what, fields, line] of lines) {
  test(`the progress of ${what} is one line`, (t) => {
    t.is(plain([progressLine(migration(fields))]), `${line}\n`);
  });
}

const nexts: [state: MigrationState, fields: Fields, next: RegExp | ''][] = [
  [requested, {}, /in eu: silo migrate accept mig_us_1 --org org_eu_1\n$/],
  [accepted, {}, /Staff of eu starts it: silo migrate start mig_us_1\n$/],
  [copying, {}, ''],
  [failed, {}, /silo migrate retry mig_us_1, or ends it: silo migrate cancel mig_us_1 --staff\n$/],
  [done, {}, /Staff of us can take it back: silo migrate rollback mig_us_1, .* purge mig_us_1\n$/],
  [done, { purging: true }, ''],
  [done, { purgeTime: new Date() }, ''],
  [done, { rolledBackBy: 'mig_us_2' }, ''],
];

for (const [state, fields, next] of nexts) {
  const name = `${bareName(MigrationState, state)} ${Object.keys(fields).join()}`.trim();
  test(`the next step after ${name}`, (t) => {
    const text = plain(nextBlocks(migration({ state, ...fields })));
    if (next === '') t.is(text, '');
    else t.regex(text, next);
  });
}

test('the accept command names the stored profile for the destination region', (t) => {
  const text = plain(nextBlocks(migration({ state: requested }), 'home'));
  t.regex(text, /: silo migrate accept mig_us_1 --org org_eu_1 --profile home\n$/);
});

test('the text about a migration that will end names it, and says how it ends', (t) => {
  const migrations = [migration({ state: copying }), migration({ state: requested })];
  t.is(
    plain(endedBlocks(migrations)),
    `The migration of Web to the region eu will be cancelled.
The migration of Web to the region eu can no longer be accepted then.
`,
  );
});

test('organizations are shown by name if it is known, else by region; ids are shown on request', (t) => {
  const failing = migration({ state: failed, failure: 'It was full.' });
  const back = migration({ state: done, rolledBackBy: 'x' });
  const list = migrationsBlocks([failing, back, { ...back, rollingBack: true }], names);
  t.is(
    plain(list),
    `TIME (UTC)        PROJECT  FROM          TO  STATE                      MIGRATION
2027-01-31 12:00  Web      Example (us)  eu  failed                     mig_us_1
2027-01-31 12:00  Web      Example (us)  eu  done, taken back           mig_us_1
2027-01-31 12:00  Web      Example (us)  eu  done, is being taken back  mig_us_1
`,
  );
  t.regex(toText(list, { colour: false, ids: true }), /eu \(org_eu_1\)/);
  const shown = plain(migrationBlocks(failing, names));
  t.regex(shown, /^state +failed\nwhy +It was full\.$/m);
  t.is(plain(migrationsBlocks([], names)), 'No migrations yet.\n');
});

test('the state shows that a purge is running or done', (t) => {
  const purging = migration({ state: done, purging: true });
  const purged = migration({ state: done, purgeTime: new Date('2027-02-01T12:00:00Z') });
  const list = plain(migrationsBlocks([purging, purged], names));
  t.regex(list, / done, source is being purged +mig_us_1\n.* done, source purged +mig_us_1\n$/);
  t.regex(plain(migrationBlocks(purging, names)), /^state +done, source is being purged$/m);
  t.regex(plain([progressLine(purged)]), /^Web {2}done, source purged {2}█/);
});

test('a repeated purge says that one is running, or when it ended', (t) => {
  const look = 'silo migrate show mig_us_1 --staff';
  const said = (fields: Fields, isRepeat: boolean) =>
    plain(purgeBlocks(migration({ state: done, ...fields }), { isRepeat, look }));
  t.is(
    said({ purging: true }, false),
    `Being compared, and then removed: Web, us → eu.\nHow far that is: ${look}\n`,
  );
  t.is(
    said({ purging: true }, true),
    `Being purged already: Web, us → eu.\nHow far that is: ${look}\n`,
  );
  const purgeTime = new Date('2027-02-01T12:00:00Z');
  t.is(said({ purgeTime }, true), 'Purged already, 2027-02-01 12:00 UTC: Web, us → eu.\n');
});

test('a duration is shown in units that people would use', (t) => {
  t.deepEqual([0, 59, 61, 3_599, 3_600, 90_000].map(durationText), [
    ...['0 s', '59 s', '2 min', '1 h 0 min', '1 h 0 min', '25 h 0 min'],
  ]);
});
