import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Propagation } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import { Migration } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { Move, Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { MoveRule, PreviewMoveResponse } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { ApiKey } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import test from 'ava';
import { namesFrom } from '../names.ts';
import { keysBlocks } from '../render/keys.ts';
import { type Plan, previewBlocks } from '../render/move-preview.ts';
import { moveBlocks, movesBlocks } from '../render/moves.ts';
import { foundBlocks } from '../render/projects.ts';
import { propagationBlocks } from '../render/propagation.ts';
import {
  levelNamed,
  levelNames,
  levelText,
  planNamed,
  planNames,
  planText,
} from '../render/values.ts';
import { type Block, toText } from '../text.ts';

const plain = (blocks: Block[]) => toText(blocks, { colour: false });

const plan: Plan = {
  projects: [Project.fromPartial({ id: 'prj_1', name: 'Web' })],
  source: { id: 'org_us_1', name: 'Example' },
  destination: { id: 'org_us_2', name: 'Acme' },
};

test('a preview shows every rule, the lost and gained access, the slots, and the fingerprint', (t) => {
  const preview = PreviewMoveResponse.fromPartial({
    checks: [
      { rule: MoveRule.MOVE_RULE_ELSEWHERE, passed: true },
      {
        rule: MoveRule.MOVE_RULE_DESTINATION_HAS_ROOM,
        reason: ErrorReason.ERROR_REASON_PROJECT_LIMIT,
        description: 'It is full.',
      },
      {
        rule: MoveRule.MOVE_RULE_PROJECTS_ACTIVE,
        description: 'Not active:',
        projectIds: ['prj_1'],
      },
    ],
    losing: {
      members: [{ accountId: 'acc_1', displayName: 'Bob', level: Level.LEVEL_ADMIN }],
      memberCount: 1,
      ownKeys: [{ keyId: 'key_1', name: 'ci', projectIds: ['prj_1'] }],
      ownKeyCount: 1,
      otherKeys: [
        { accountId: 'acc_1', displayName: 'Bob', keyCount: 2 },
        { accountId: 'acc_2', displayName: 'Eve', keyCount: 1 },
      ],
      otherKeyCount: 3,
      otherOwnerCount: 2,
    },
    gaining: {
      members: [{ accountId: 'acc_3', displayName: 'Cy', level: Level.LEVEL_MEMBER }],
      memberCount: 1,
    },
    source: { organizationId: 'org_us_1', limit: 6, countBefore: 2, countAfter: 1 },
    destination: { organizationId: 'org_us_2', countBefore: 0, countAfter: 1 },
    planFingerprint: 'f1',
  });
  t.is(
    plain(previewBlocks(preview, plan)),
    `Move Web from Example to Acme

RULE                                      WHAT STANDS IN THE WAY
the project is not in the destination  ✓
the destination has room               ✗  It is full.
no project is deleted                  ✗  Not active: Web

WHO                     LEVEL   WHAT HAPPENS
Bob                     admin   loses access
your key ci: 1 project          loses access
2 keys of Bob                   loses access
1 key of Eve                    loses access
Cy                      member  gains access

ORGANIZATION  PROJECTS NOW  AFTER  LIMIT
Example       2             1      6
Acme          0             1      unlimited

fingerprint f1
`,
  );
  const withIds = toText(previewBlocks(preview, plan), { colour: false, ids: true });
  t.regex(withIds, /^Move Web \(prj_1\) from Example \(org_us_1\) to Acme \(org_us_2\)$/m);
  t.regex(withIds, /^Bob \(acc_1\) +admin +loses access$/m);
});

test('the first of many people are named, the others counted; the count covers all', (t) => {
  const members = Array.from({ length: 25 }, (_, at) => ({
    accountId: `acc_${at}`,
    displayName: 'Somebody',
    level: Level.LEVEL_MEMBER,
  }));
  const preview = PreviewMoveResponse.fromPartial({ losing: { members, memberCount: 1_234 } });
  const text = plain(previewBlocks(preview, plan));
  t.is(text.match(/Somebody/g)?.length, 20);
  t.regex(text, /… and 1214 more people +loses access/);
});

test('a batch is shown by its size, even if it affects no account', (t) => {
  const projects = [...plan.projects, Project.fromPartial({ id: 'prj_2', name: 'App' })];
  const text = plain(previewBlocks(PreviewMoveResponse.fromPartial({}), { ...plan, projects }));
  t.regex(text, /^Move 2 projects from Example to Acme$/m);
  t.regex(text, /^Nobody loses or gains access\.$/m);
});

const now = new Date('2026-01-10T00:00:00Z');
const past = new Date('2026-01-09T00:00:00Z');
const future = new Date('2026-01-12T00:00:00Z');

const states: [what: string, move: Partial<Move>, state: string][] = [
  ['a fresh move', { undoExpireTime: future }, 'undo until 2026-01-12 00:00 UTC'],
  ['a move whose undo time is over', { undoExpireTime: past }, 'final'],
  ['an undo', { undoOf: 'mov_0' }, 'an undo'],
  ['an undone move', { undoneBy: 'mov_2', undoExpireTime: future }, 'undone'],
  [
    'a finalized move',
    { finalizeTime: past, undoExpireTime: future },
    'finalized 2026-01-09 00:00 UTC',
  ],
];

const names = namesFrom(new Map());
const shown = { now, nameOf: names, mayUndo: () => true };

test('an undo is not shown to those who may not undo', (t) => {
  const move = Move.fromPartial({ id: 'mov_1', projectIds: ['prj_1'], undoExpireTime: future });
  const text = plain(movesBlocks([move], { ...shown, mayUndo: () => false }));
  t.true(text.endsWith('  moved\n'), text);
});

for (const [what, fields, state] of states) {
  test(`the state of ${what} is shown`, (t) => {
    const move = Move.fromPartial({ id: 'mov_1', projectIds: ['prj_1'], ...fields });
    t.true(plain(moveBlocks(move, shown)).endsWith(`state     ${state}\n`));
    t.true(plain(movesBlocks([move], shown)).endsWith(`  ${state}\n`));
  });
}

test('the propagation is shown if the change removed access', (t) => {
  const elapsed = { seconds: 1, nanos: 500_000_000 };
  const propagated = (guards: number, expired: number) =>
    plain(propagationBlocks(Propagation.fromPartial({ guards, expired, elapsed })));
  t.is(
    propagated(4, 1),
    'The old access has ended everywhere (4 guards, 1 of them by the end of their lease, 1500 ms).\n',
  );
  t.is(propagated(1, 0), 'The old access has ended everywhere (1 guard, 1500 ms).\n');
  t.is(propagated(0, 0), 'The old access has ended everywhere (1500 ms).\n');
  t.deepEqual(propagationBlocks(undefined), []);
});

test('the key that the command is signed in with is marked', (t) => {
  const keys = [
    ApiKey.fromPartial({ name: 'mine', fingerprint: 'aa', scopes: ['*'] }),
    ApiKey.fromPartial({ name: 'ci', fingerprint: 'bb', disabled: true, projectIds: ['prj_1'] }),
  ];
  const text = plain(keysBlocks(keys, 'aa', namesFrom(new Map([['prj_1', 'Web']]))));
  t.regex(text, /^\* {2}mine .* everything +enabled/m);
  t.regex(text, /^ {3}ci .* Web +disabled/m);
});

test('an expired key is listed as expired, whatever its other state', (t) => {
  const now = new Date('2030-01-01T00:00:00Z');
  const key = { fingerprint: 'bb', scopes: ['*'], disabled: true };
  const keys = [
    ApiKey.fromPartial({ ...key, name: 'over', expireTime: now }),
    ApiKey.fromPartial({ ...key, name: 'soon', expireTime: new Date(now.getTime() + 1) }),
  ];
  const text = plain(keysBlocks(keys, 'aa', names, now));
  t.regex(text, /^ *over .* expired/m);
  t.regex(text, /^ *soon .* disabled/m);
});

test('the current project is marked; an empty list is explained', (t) => {
  const found = [
    {
      project: Project.fromPartial({ id: 'prj_1', name: 'Web' }),
      organizationName: 'Example',
      current: true,
    },
  ];
  const here = '   PROJECT  ORGANIZATION\n*  Web      Example\n';
  t.is(plain(foundBlocks(found, { query: '', away: [] })), here);
  const none = plain(foundBlocks([], { query: 'shop', away: [] }));
  t.is(none, 'No project matches. All projects: silo projects\n');
  const nothing = plain(foundBlocks([], { query: '', away: [] }));
  t.is(nothing, 'There is no project yet: silo project create NAME\n');
  const migration = Migration.fromPartial({ projectName: 'Shop', destinationRegion: 'eu' });
  const away = [{ migration, organizationName: 'Example' }];
  const table = 'MIGRATED  FROM     TO\nShop      Example  the region eu\n';
  t.is(plain(foundBlocks(found, { query: '', away })), `${here}\n${table}`);
  t.is(plain(foundBlocks([], { query: 'shop', away })), table);
});

test('levels and plans are shown by readable names', (t) => {
  for (const name of levelNames) t.is(levelText(levelNamed(name)), name);
  for (const name of planNames) t.is(planText(planNamed(name)), name);
});
