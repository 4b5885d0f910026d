import { errors } from '@silo/errors/errors.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { adviceFor } from '../advice.ts';
import { move } from '../commands/move.ts';
import { explain } from '../explain.ts';
import { CallFailure } from '../failure.ts';
import { meaningOf } from '../meaning.ts';

test('advice about changes since a preview names the previews of moves and of migrations', (t) => {
  const changed = errors.planChanged([{ what: 'move', description: 'It was moved.' }]);
  t.regex(adviceFor(changed) ?? '', /silo move --preview, or silo migrate preview/);
  t.is(meaningOf(changed), 'What it does has changed since you looked.');
});

test('the advice about an unknown migration mentions that it may not be accepted yet', (t) => {
  t.regex(adviceFor(errors.migrationNotFound('mig_us_1')) ?? '', /--staff; .* once it is accepted/);
});

test('the advice about an unknown project mentions deleted projects', (t) => {
  t.is(
    adviceFor(errors.projectNotFound('prj_1')),
    'silo projects, or silo projects --deleted for those that can be undeleted',
  );
});

test('a resource that is not ready reports the reason', (t) => {
  const cutOver = errors.notReady('the project', 'is being cut over to another region');
  t.is(meaningOf(cutOver), 'Not ready yet: the project is being cut over to another region.');
});

test('a refused code leads to an admin, an unknown invite to the list of invites', (t) => {
  const ofCode = errors.inviteCodeInvalid();
  t.regex(adviceFor(ofCode) ?? '', /^ask an admin of the organization for a new invite;/);
  t.regex(
    meaningOf(ofCode),
    /^The code is unknown, .* or no longer valid, .* another e-mail than yours\.$/,
  );
  t.regex(adviceFor(errors.inviteNotFound('inv_1')) ?? '', /^silo members invites shows /);
});

test('advice about a project in another region names a stored profile of that region', (t) => {
  const advice = adviceFor(errors.projectMigrated('eu', 'org_eu_1')) ?? '';
  t.regex(advice, /^silo profiles shows yours: .* --profile NAME of eu/);
  t.is(adviceFor(errors.crossRegion({ from: 'us', to: 'eu' })), undefined);
});

test('a move to an organization of another region is advised to be a migration', async (t) => {
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
