import { bareName } from '@silo/protos/enum-name.ts';
import { type Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { PreviewMigrationResponse } from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import type { NameOf } from '../names.ts';
import { type Block, type Span, textOf } from '../text.ts';
import { accessRows, lost, slotsRow } from './move-preview.ts';
import { bytesText, countText, facts, minuteText, numberText, timeText } from './values.ts';

/** The project that shall migrate, and its destination. */
export type MigrationPlan = {
  project: { id: string; name: string };
  source: { id: string; name: string; region: string };
  /** The destination, with the stored profile that reaches it, if there is one. */
  destination: { id: string; region: string; profile?: string | undefined };
};

/** What a migration would do. */
export function migrationPreviewBlocks(
  preview: PreviewMigrationResponse,
  { project, source, destination }: MigrationPlan,
): Block[] {
  const { events = 0, bytes = 0, losing, leftBehind, destinationOrganizationName } = preview;
  const there = { id: destination.id, name: destinationOrganizationName };
  const people = accessRows(losing, lost);
  const bold = (text: string, id = ''): Span => ({ text, id, style: 'bold' });
  return [
    [
      ...[bold('Migrate '), bold(project.name, project.id)],
      ...[bold(' from '), bold(source.name, source.id), bold(` (${source.region})`)],
      ...[bold(' to '), bold(there.name, there.id), bold(` (${destination.region})`)],
    ],
    '',
    ...facts(
      ['what travels', `about ${countText(events)}, ${bytesText(bytes)}`],
      ['the copy takes', `about ${durationText(preview.seconds ?? 0)}; the project stays in use`],
    ),
    '',
    ...(leftBehind.length > 0
      ? ['What stays behind:', ...leftBehind.map((each) => `  ${each}`), '']
      : []),
    ...(people.length > 0
      ? [{ head: ['who', 'level', 'what happens'], rows: people }]
      : ['Nobody loses access.']),
    '',
    {
      head: ['organization', 'projects now', 'after', 'limit'],
      rows: [slotsRow(source, preview.source), slotsRow(there, preview.destination)],
    },
    ...obstacleBlocks(preview, destination),
    '',
    [{ text: `fingerprint ${preview.planFingerprint}`, style: 'dim' }],
  ];
}

/** What prevents the destination from accepting it now, and what to do there. */
function obstacleBlocks(
  { destinationLacksMigrations, destinationOrganizationName, ...preview }: PreviewMigrationResponse,
  { id, region, profile }: MigrationPlan['destination'],
): Block[] {
  const { limit, countAfter = 0 } = preview.destination ?? {};
  const isFull = limit !== undefined && countAfter > limit;
  if (!destinationLacksMigrations && !isFull) return [];
  const there = { text: destinationOrganizationName, id };
  const by = profile === undefined ? '' : ` --profile ${profile}`;
  const bold = (text: string): Span => ({ text, style: 'bold' });
  return [
    '',
    [
      { text: 'It cannot be accepted yet: ', style: 'bad' },
      ...(destinationLacksMigrations
        ? ['the plan of ', there, ' has no migrations to other regions.']
        : [there, ' has no room for one project more.']),
    ],
    [
      `An admin there, in ${region}, changes the plan: `,
      ...[bold(`silo plan list${by}`), ', then '],
      bold(`silo plan change PLAN --org ${id}${by}`),
      ...(destinationLacksMigrations ? [] : ['; or ', bold(`silo project delete PROJECT${by}`)]),
    ],
  ];
}

/** A list of migrations. */
export function migrationsBlocks(
  migrations: readonly Migration[],
  nameOf: NameOf,
  nextPageToken = '',
): Block[] {
  if (migrations.length === 0) return ['No migrations yet.'];
  const rows = migrations.map((each) => [
    minuteText(each.requestTime),
    { text: each.projectName, id: each.projectId },
    placeOf(each.sourceOrganizationId, each.sourceRegion, nameOf),
    placeOf(each.destinationOrganizationId, each.destinationRegion, nameOf),
    stateOf(each),
    each.id,
  ]);
  return [
    { head: ['time (UTC)', 'project', 'from', 'to', 'state', 'migration'], rows },
    ...(nextPageToken === '' ? [] : [{ text: 'There is more: --limit N', style: 'dim' as const }]),
  ];
}

/** All details of one migration. */
export function migrationBlocks(migration: Migration, nameOf: NameOf): Block[] {
  const { progress } = migration;
  const by = (time: Date | undefined, accountId: string) => {
    const text = timeText(time);
    if (time === undefined || accountId === '') return time && text;
    const name = textOf(nameOf(accountId));
    // The names of accounts of the other region are not known here.
    return { text: name === accountId ? text : `${text} by ${name}`, id: accountId };
  };
  const at = (time: Date | undefined) => time && timeText(time);
  return facts(
    ['project', { text: migration.projectName, id: migration.projectId }],
    ['migration', migration.id],
    ['from', placeOf(migration.sourceOrganizationId, migration.sourceRegion, nameOf)],
    ['to', placeOf(migration.destinationOrganizationId, migration.destinationRegion, nameOf)],
    ['state', stateOf(migration)],
    ['why', migration.failure],
    ['takes back', migration.rollbackOf],
    ['taken back by', migration.rolledBackBy],
    ['requested', by(migration.requestTime, migration.requesterAccountId)],
    ['accepted', by(migration.acceptTime, migration.accepterAccountId)],
    ['started', at(migration.startTime)],
    ['ended', at(migration.finishTime)],
    ['source purged', at(migration.purgeTime)],
    ...(progress === undefined ? [] : progressFacts(progress)),
  );
}

type Progress = NonNullable<Migration['progress']>;

function progressFacts(progress: Progress): [string, string | undefined][] {
  const { eventsCopied, bytesCopied, rangesVerified, rangesRepaired } = progress;
  const number = (value: number | undefined) => value && numberText(value);
  const of = ofTotal(progress, 'about ');
  return [
    ['events copied', eventsCopied === undefined ? undefined : numberText(eventsCopied) + of],
    ['bytes copied', bytesCopied === undefined ? undefined : bytesText(bytesCopied)],
    ['changes applied', number(progress.changesApplied) || undefined],
    ['ranges verified', number(rangesVerified) || undefined],
    ['ranges repaired', number(rangesRepaired) || undefined],
    ['cutovers', number(progress.cutoverAttempts) || undefined],
    ['captures held', progress.holdMs === undefined ? undefined : `${progress.holdMs} ms`],
    [
      'limit',
      progress.bytesPerSecondMax === 0
        ? undefined
        : `${bytesText(progress.bytesPerSecondMax)} a second`,
    ],
  ];
}

/**
 * The next steps and where to take them; with the stored profile of the destination, if there is
 * one.
 */
export function nextBlocks(migration: Migration, profileThere?: string | undefined): Block[] {
  const { id, sourceRegion, destinationRegion, destinationOrganizationId } = migration;
  const command = (text: string): Span => ({ text, style: 'bold' });
  switch (migration.state) {
    case MigrationState.MIGRATION_STATE_REQUESTED: {
      const by = profileThere === undefined ? '' : ` --profile ${profileThere}`;
      const accept = `silo migrate accept ${id} --org ${destinationOrganizationId}${by}`;
      return [
        [`An admin of the destination accepts it in ${destinationRegion}: `, command(accept)],
      ];
    }
    case MigrationState.MIGRATION_STATE_ACCEPTED:
      return [[`Staff of ${destinationRegion} starts it: `, command(`silo migrate start ${id}`)]];
    case MigrationState.MIGRATION_STATE_FAILED:
      return [
        [
          ...[`Staff of ${destinationRegion} continues it: `, command(`silo migrate retry ${id}`)],
          ...[', or ends it: ', command(`silo migrate cancel ${id} --staff`)],
        ],
      ];
    case MigrationState.MIGRATION_STATE_DONE:
      if (purgeOf(migration) !== undefined || migration.rolledBackBy !== '') return [];
      return [
        [
          ...[
            `Staff of ${sourceRegion} can take it back: `,
            command(`silo migrate rollback ${id}`),
          ],
          ...[', until it removes the copy there: ', command(`silo migrate purge ${id}`)],
        ],
      ];
    default:
      return [];
  }
}

/** Migrations that will end because their projects are about to be moved or deleted. */
export function endedBlocks(migrations: readonly Migration[]): Block[] {
  return migrations.map(({ id, state, projectName, destinationRegion }) => {
    // An offered migration ends when somebody tries to accept it; an accepted one, within seconds.
    const end =
      state === MigrationState.MIGRATION_STATE_REQUESTED
        ? ' can no longer be accepted then.'
        : ' will be cancelled.';
    const what = `The migration of ${projectName} to the region ${destinationRegion}`;
    return [
      { text: what, id },
      { text: end, style: 'bad' },
    ];
  });
}

/** One line that says what was done to a migration. */
export function saying(what: string, migration: Migration): Block {
  return [{ text: what, style: 'good', id: migration.id }, `: ${endsOf(migration)}`];
}

/** `Web, us → eu.` */
export function endsOf({ projectName, sourceRegion, destinationRegion }: Migration): string {
  return `${projectName}, ${sourceRegion} → ${destinationRegion}.`;
}

/** The purge that has begun. After a repeat: that it is already running, or has ended. */
export function purgeBlocks(
  migration: Migration,
  { isRepeat, look }: { isRepeat: boolean; look: string },
): Block[] {
  const { purgeTime } = migration;
  if (purgeTime !== undefined) {
    return [saying(`Purged already, ${timeText(purgeTime)}`, migration)];
  }
  const what = isRepeat ? 'Being purged already' : 'Being compared, and then removed';
  return [saying(what, migration), `How far that is: ${look}`];
}

const barColumns = 20;

/** The progress of a migration, in one line. */
export function progressLine(migration: Migration): readonly Span[] {
  const { state, progress, projectName } = migration;
  const { eventsCopied = 0 } = progress ?? {};
  const share = sharePercent(migration);
  const filled = Math.floor(((share ?? 0) / 100) * barColumns);
  const isCopying = state === MigrationState.MIGRATION_STATE_COPYING;
  const { eventsPerSecond, secondsLeft, lagMs, holdMs, rangesVerified } = progress ?? {};
  const said = [
    `${String(share ?? '?').padStart(3)} %`,
    `${numberText(eventsCopied)}${ofTotal(progress)} events`,
    isCopying && eventsPerSecond !== undefined && `${numberText(eventsPerSecond)}/s`,
    isCopying &&
      (secondsLeft === undefined ? 'time left unknown' : `${durationText(secondsLeft)} left`),
    Boolean(rangesVerified) && `${rangesText(rangesVerified)} verified`,
    isOpen(migration) && lagMs !== undefined && `${numberText(lagMs)} ms behind`,
    state === MigrationState.MIGRATION_STATE_DONE && holdMs !== undefined && `held ${holdMs} ms`,
  ];
  return [
    `${projectName}  `,
    stateOf(migration),
    `  ${'█'.repeat(filled)}${'░'.repeat(barColumns - filled)} `,
    said.filter(Boolean).join(' · '),
  ];
}

/** Empty if fewer events were counted than copied: the others arrived after the count. */
function ofTotal({ eventsTotal, eventsCopied = 0 }: Partial<Progress> = {}, about = ''): string {
  const isKnown = eventsTotal !== undefined && eventsTotal >= eventsCopied;
  return isKnown ? ` of ${about}${numberText(eventsTotal)}` : '';
}

function rangesText(count = 0): string {
  return count === 1 ? '1 range' : `${numberText(count)} ranges`;
}

/** The copied share in whole percent; undefined if it is not known. */
export function sharePercent({ state, progress }: Migration): number | undefined {
  if (copied.includes(state)) return 100;
  const { eventsTotal, eventsCopied = 0 } = progress ?? {};
  if (eventsTotal !== undefined && eventsTotal >= eventsCopied) {
    return Math.floor((100 * eventsCopied) / Math.max(1, eventsTotal));
  }
  return unbegun.includes(state) ? 0 : undefined;
}

const unbegun: readonly MigrationState[] = [
  MigrationState.MIGRATION_STATE_REQUESTED,
  MigrationState.MIGRATION_STATE_ACCEPTED,
];
const copied: readonly MigrationState[] = [
  MigrationState.MIGRATION_STATE_VERIFYING,
  MigrationState.MIGRATION_STATE_CUTOVER,
  MigrationState.MIGRATION_STATE_DONE,
];

/** Whether the migration is still running or waiting to run. */
export function isOpen({ state }: Migration): boolean {
  return state < MigrationState.MIGRATION_STATE_DONE;
}

/** Whether it has ended for good; a failed one has not, because staff can retry it. */
export function isOver({ state }: Migration): boolean {
  return (
    state === MigrationState.MIGRATION_STATE_DONE ||
    state === MigrationState.MIGRATION_STATE_CANCELLED
  );
}

/** The ids of everything that is named where these migrations are shown. */
export function idsIn(migrations: readonly Migration[]): string[] {
  return migrations.flatMap((each) => [
    ...[each.sourceOrganizationId, each.destinationOrganizationId],
    ...[each.requesterAccountId, each.accepterAccountId],
  ]);
}

/** The organizations of migrations. */
export function organizationsIn(migrations: readonly Migration[]): string[] {
  return migrations.flatMap((each) => [each.sourceOrganizationId, each.destinationOrganizationId]);
}

/** `Example (us)`; the region alone if the name is not known. */
function placeOf(organizationId: string, region: string, nameOf: NameOf): Span {
  const name = textOf(nameOf(organizationId));
  return { text: name === organizationId ? region : `${name} (${region})`, id: organizationId };
}

const good: readonly MigrationState[] = [MigrationState.MIGRATION_STATE_DONE];
const bad: readonly MigrationState[] = [MigrationState.MIGRATION_STATE_FAILED];

/** The state of the removal at the source: running or done; undefined if none has begun. */
export function purgeOf({ purging, purgeTime }: Migration): string | undefined {
  if (purgeTime !== undefined) return 'source purged';
  return purging ? 'source is being purged' : undefined;
}

function stateOf(migration: Migration): Span {
  const { state, rolledBackBy, rollingBack } = migration;
  const parts = [
    bareName(MigrationState, state).toLowerCase(),
    rolledBackBy === '' ? undefined : rollingBack ? 'is being taken back' : 'taken back',
    purgeOf(migration),
  ];
  const known = parts.filter((part) => part !== undefined).join(', ');
  if (bad.includes(state)) return { text: known, style: 'bad' };
  return good.includes(state) ? { text: known, style: 'good' } : known;
}

/**
 * A duration in the largest unit that fits, and the next smaller one.
 * @internal Exported for tests.
 */
export function durationText(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
