import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { membersUpdate } from '../commands/members-update.ts';
import { orgLeave } from '../commands/org-leave.ts';
import { explain } from '../explain.ts';
import { CallFailure } from '../failure.ts';
import { createFind } from '../find.ts';
import { forOrg } from '../for-org.ts';
import { toText } from '../text.ts';

const organizations = [{ id: newId('org_us'), name: 'Bob Co' }];
const bob = { accountId: newId('acc'), email: 'bob@example.com', etag: 'e' };

/** A command context in which changes of members are refused. */
function cliWith(refusal: SiloError) {
  const refuse = async () => {
    throw new CallFailure(refusal, refusal, 'request-1');
  };
  const api = {
    accounts: { getAccount: async () => ({ account: { currentProjectId: '' } }) },
    organizations: {
      listOrganizations: async () => ({ organizations, nextPageToken: '' }),
      listMembers: async () => ({ members: [bob], nextPageToken: '' }),
      updateMember: refuse,
      leaveOrganization: refuse,
    },
  };
  const find = createFind(api as never, { possible: false } as never, 'us');
  const profile = { account: { id: newId('acc') } };
  return { signedIn: async () => ({ api, find, profile }), repeatedBy: () => {} };
}

async function nextOf(cli: object, ...words: string[]): Promise<string> {
  return await nextAfter(membersUpdate(cli as never).parseAsync(words, { from: 'user' }));
}

async function nextAfter(running: Promise<unknown>): Promise<string> {
  const error = await running.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  const text = toText(explain(error).blocks, { colour: false });
  return /^next: +(.*)$/m.exec(text)?.[1] ?? text;
}

const level = ['--level', 'member'];
const org = ['--org', 'Bob Co'];

test('advice about a member names the organization that was given', async (t) => {
  const cli = cliWith(errors.lastOwner());
  const inIt = "--org 'Bob Co'";
  t.is(await nextOf(cli, 'eve@example.com', ...level, ...org), `silo members list ${inIt}`);
  t.is(
    await nextOf(cli, bob.email, ...level, ...org),
    `silo members update MEMBER --level owner ${inIt}, then again`,
  );
  t.is(
    await nextOf(cliWith(errors.adminRequired(Level.LEVEL_ADMIN)), bob.email, ...level, ...org),
    `silo members list ${inIt} shows the admins and owners: contact one of them`,
  );
  t.is(
    await nextOf(cli, bob.email, ...level),
    'silo members update MEMBER --level owner, then again',
  );
});

test('the last owner who leaves is advised to promote another owner of that organization', async (t) => {
  const command = orgLeave(cliWith(errors.lastOwner()) as never);
  t.is(
    await nextAfter(command.parseAsync(['Bob Co', '--yes'], { from: 'user' })),
    "silo members update MEMBER --level owner --org 'Bob Co', then again",
  );
});

test('advice that is not about one organization, or names it already, is unchanged', async (t) => {
  const advised = async (refusal: SiloError) => {
    const work = forOrg('Acme', async () => {
      throw new CallFailure(refusal, refusal, undefined);
    });
    const error = await t.throwsAsync(work, { instanceOf: CallFailure });
    return error?.next ?? '';
  };
  const slots = { organizationId: 'org_us_1', limit: 1, count: 1 };
  t.regex(await advised(errors.projectLimit(slots)), /silo plan list, .* --org org_us_1; /);
  t.notRegex(await advised(errors.projectLimit(slots)), /Acme/);
  t.is(
    await advised(errors.billingDetailsRequired()),
    'silo plan billing-details --org Acme, then again',
  );
  t.is(await advised(errors.draining()), '', 'repeating the command is advised');
});
