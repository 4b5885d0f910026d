import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import test from 'ava';
import { explain } from '../explain.ts';
import { CallFailure, Failure } from '../failure.ts';
import { undoBlocks } from '../render/moves.ts';
import { toText } from '../text.ts';
import { withProfile } from '../with-profile.ts';

const texts: [text: string, withEu: string][] = [
  ['silo org list', 'silo --profile eu org list'],
  [
    'silo plan list, then silo plan change PLAN --org org_eu_1; or silo project delete PROJECT',
    'silo --profile eu plan list, then silo --profile eu plan change PLAN --org org_eu_1; or silo --profile eu project delete PROJECT',
  ],
  [
    'silo migrate list, or silo migrate list --staff; the destination knows it',
    'silo --profile eu migrate list, or silo migrate list --staff; the destination knows it',
  ],
  [
    'silo keys create NAME --scope project:read --profile OTHER',
    'silo keys create NAME --scope project:read --profile OTHER',
  ],
  ['silo migrate start mig_us_1', 'silo migrate start mig_us_1'],
  ['silo migrate watch mig_us_1 --profile eu', 'silo migrate watch mig_us_1 --profile eu'],
  [
    'is it running, and are the addresses right (silo profiles)?',
    'is it running, and are the addresses right (silo profiles)?',
  ],
  ['The development Silo of this directory', 'The development Silo of this directory'],
];

for (const [text, withEu] of texts) {
  test(`commands in advice get the given profile: ${text}`, (t) => {
    t.is(withProfile(text, 'eu'), withEu);
    t.is(withProfile(text, undefined), text);
  });
}

test('advice to people and to scripts names the profile that the user has given', (t) => {
  const refusal = errors.planRequired({ organizationId: 'org_eu_1', feature: 'migrations' });
  const refused = new CallFailure(refusal, refusal, undefined);
  const next =
    'silo --profile eu plan list, then silo --profile eu plan change PLAN --org org_eu_1';
  for (const [error, expected] of [
    [refused, next],
    [new Failure('hidden', 'There is none.', 'silo projects'), 'silo --profile eu projects'],
  ] as const) {
    const { blocks, json } = explain(error, { profile: 'eu' });
    t.true(toText(blocks, { colour: false }).includes(`next:  ${expected}\n`));
    t.like(json, { error: { next: expected } });
  }
});

test('the next steps after a move name the profile that the user has given', (t) => {
  const move = { id: 'mov_1', undoExpireTime: new Date('2027-01-31T12:00:00Z') };
  const blocks = undoBlocks(move as Parameters<typeof undoBlocks>[0]);
  t.regex(toText(blocks, { colour: false, profile: 'eu' }), /silo --profile eu undo mov_1\n$/);
  t.regex(toText(blocks, { colour: false }), /: silo undo mov_1\n$/);
});

const narrow: [what: string, refusal: SiloError, next: string][] = [
  [
    'a scope is missing',
    errors.scopeRequired('project:read'),
    'silo --profile eu login with a key that holds it; a profile with a wider key makes one: silo keys create NAME --scope project:read --profile OTHER',
  ],
  [
    'the key is restricted',
    errors.keyRestricted(),
    'silo --profile eu login with a key without restrictions, or for a move with one that names both organizations; a profile with such a key shows them: silo keys list --profile OTHER',
  ],
];

for (const [what, refusal, next] of narrow) {
  test(`if ${what}, advice about what the key cannot do names another profile`, (t) => {
    const { json } = explain(new CallFailure(refusal, refusal, undefined), { profile: 'eu' });
    t.like(json, { error: { next } });
  });
}
