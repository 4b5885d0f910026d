import { errors } from '@silo/errors/errors.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { adviceFor } from '../advice.ts';
import { move } from '../commands/move.ts';
import { explain } from '../explain.ts';
import { CallFailure } from '../failure.ts';
import { meaningOf } from '../meaning.ts';

test('what has changed since a preview names the previews of moves and of migrations', (t) => {
  const changed = errors.planChanged([{ what: 'move', description: 'It was moved.' }]);
  t.regex(adviceFor(changed) ?? '', /silo move --preview, or silo migrate preview/);
  t.is(meaningOf(changed), 'What it does has changed since you looked.');
});

test('a migration that is not found may not be accepted yet', (t) => {
  t.regex(adviceFor(errors.migrationNotFound('mig_us_1')) ?? '', /--staff; .* once it is accepted/);
});

test('a project that is not found may be a deleted one', (t) => {
  t.is(
    adviceFor(errors.projectNotFound('prj_1')),
    'silo projects, or silo projects --deleted for those that can be brought back',
  );
});

test('what is not ready says why', (t) => {
  const cutOver = errors.notReady('the project', 'is being cut over to another region');
  t.is(meaningOf(cutOver), 'Not ready yet: the project is being cut over to another region.');
});

test('a code that is refused is renewed by an admin; an invite that is gone is one of the list', (t) => {
  const ofCode = errors.inviteCodeInvalid();
  t.regex(adviceFor(ofCode) ?? '', /^ask an admin of the organization for a new invite;/);
  t.regex(
    meaningOf(ofCode),
    /^The code is unknown, .* or no longer valid, .* another e-mail than yours\.$/,
  );
  t.regex(adviceFor(errors.inviteNotFound('inv_1')) ?? '', /^silo members invites shows /);
});

test('the advice about a project in another region is a profile of that region', (t) => {
  const advice = adviceFor(errors.projectMigrated('eu', 'org_eu_1')) ?? '';
  t.regex(advice, /^silo profiles shows yours: .* --profile NAME of eu/);
  t.is(adviceFor(errors.crossRegion({ from: 'us', to: 'eu' })), undefined);
});

test('who moves to another region is advised to migrate', async (t) => {
  const refusal = errors.crossRegion({ from: 'us', to: 'eu' });
  const destination = newId('org_eu');
  const cli = {
    globals: () => ({ json: true }),
    signedIn: async () => ({
      api: {
        projects: {
          previewMove: async () => {
            throw new CallFailure(refusal, refusal, undefined);
          },
        },
      },
      find: {
        project: async () => ({ id: newId('prj'), organizationId: newId('org_us') }),
        organizations: async () => [],
      },
    }),
  };
  const words = ['Web', '--to', destination, '--preview'];
  const moving = move(cli as never).parseAsync(words, { from: 'user' });
  const failure = await t.throwsAsync(moving, { instanceOf: CallFailure });
  const { json } = explain(failure);
  const next = `silo migrate preview PROJECT --to ${destination}`;
  t.like(json, { error: { reason: 'CROSS_REGION', next } });
});
