import { newApiKey } from '@silo/tokens/secrets.ts';
import { again, any, type Breakage, change, omit, withBody } from './breakage.ts';

/** Injected faults in the databases of project and token. */
export const projectBreakages: Breakage[] = [
  {
    what: 'a project that changed hands without an event',
    where: 'project.projects',
    spoil: (all, { ada, bob }) =>
      change(
        all,
        ({ organizationId }) => organizationId === ada.organization.id,
        () => ({ organizationId: bob.organization.id }),
      ),
    found: 'a project’s owner is the one of its last event',
  },
  {
    what: 'a project without events',
    where: 'project.projects',
    spoil: (all) => [...all, { ...all[0], _id: 'prj_untold' }],
    found: 'a project’s owner is the one of its last event',
  },
  {
    what: 'a change of a project without an event',
    where: 'project.projects',
    spoil: (all) => change(all, any, ({ revision }) => ({ revision: revision + 1 })),
    found: 'every change of a project has an event',
  },
  {
    what: 'a project that came back without an event',
    where: 'project.projects',
    spoil: (all) =>
      change(
        all,
        ({ state }) => state === 2,
        () => ({ state: 1 }),
      ),
    found: 'a project is in the state of its last event',
  },
  {
    what: 'a project that was removed',
    where: 'project.projects',
    spoil: (all) => omit(all, ({ state }) => state === 1),
    found: 'a project that exists is stored',
  },
  {
    what: 'a count that is one too high',
    where: 'project.slots',
    spoil: (all) => change(all, any, ({ count }) => ({ count: count + 1 })),
    found: 'an organization’s count is that of its projects',
  },
  {
    what: 'more projects than the limit',
    where: 'project.slots',
    spoil: (all) =>
      change(
        all,
        ({ count }) => count > 1,
        () => ({ limit: 1 }),
      ),
    found: 'no organization exceeds its limit',
  },
  {
    what: 'a limit that is not the plan’s',
    where: 'project.slots',
    spoil: (all) =>
      change(
        all,
        ({ closed }) => !closed,
        () => ({ limit: 77 }),
      ),
    found: 'the limit is that of the plan',
  },
  {
    what: 'an organization without slots',
    where: 'project.slots',
    spoil: (all) => omit(all, ({ closed }) => !closed),
    found: 'every organization has slots',
  },
  {
    what: 'a project in an organization without slots',
    where: 'project.slots',
    spoil: (all) => omit(all, ({ count }) => count > 0),
    found: 'a project’s owner has slots',
  },
  {
    what: 'slots that were closed too early',
    where: 'project.slots',
    spoil: (all) =>
      change(
        all,
        ({ closed }) => !closed,
        () => ({ closed: true }),
      ),
    found: 'slots and subscription end with their organization, and only then',
  },
  {
    what: 'a wrong owner at some time in the past',
    where: 'project.events',
    spoil: (all) =>
      change(
        all,
        ({ event }) => event === 'moved',
        (moved) => withBody(moved, { oldOrganizationId: 'org_us_elsewhere' }),
      ),
    found: 'an event has the owner at that time',
  },
  {
    what: 'a quota that was exceeded at some time in the past',
    where: 'project.events',
    spoil: (all) => {
      const raised = all.findLast(
        ({ event, body }) => event === 'slots_changed' && !JSON.parse(body).closed,
      );
      return change(
        all,
        ({ _id }) => _id === raised?._id,
        (each) => withBody(each, { limit: 0 }),
      );
    },
    found: 'no organization has ever exceeded its limit',
  },
  {
    what: 'a move that emptied an organization',
    where: 'project.events',
    spoil: (all) => {
      const moved = all.find(({ event }) => event === 'moved');
      const { oldOrganizationId } = JSON.parse(moved?.body);
      // As if its other projects had been made elsewhere.
      return all.map((each) => {
        const body = JSON.parse(each.body);
        const isOther = each.event === 'created' && body.organizationId === oldOrganizationId;
        return isOther && each.subject !== moved?.subject
          ? { ...each, ...withBody(each, { organizationId: 'org_us_elsewhere' }) }
          : each;
      });
    },
    found: 'no move takes an organization’s last project',
  },
  {
    what: 'a move without a record',
    where: 'project.moves',
    spoil: (all) => omit(all, any),
    found: 'a move with an event has a record',
  },
  {
    what: 'a move without an event',
    where: 'project.moves',
    spoil: (all) => [...all, { ...all[0], _id: 'mov_untold' }],
    found: 'every move has its events',
  },
  {
    what: 'a move with an event of one project only',
    where: 'project.moves',
    spoil: (all) => change(all, any, () => ({ projectIds: ['prj_1', 'prj_2'] })),
    found: 'every move has its events',
  },
  {
    what: 'a move that was undone and finalized',
    where: 'project.moves',
    spoil: (all) =>
      change(
        all,
        ({ undoneBy }) => undoneBy,
        () => ({ finalizeTime: new Date() }),
      ),
    found: 'a move is not both undone and finalized',
  },
  {
    what: 'a move that does not know that it was undone',
    where: 'project.moves',
    spoil: (all) =>
      change(
        all,
        ({ undoneBy }) => undoneBy,
        () => ({ undoneBy: undefined }),
      ),
    found: 'an undo and the undone move name each other',
  },
  {
    what: 'a move that was finalized without an event',
    where: 'project.moves',
    spoil: (all) =>
      change(
        all,
        ({ undoneBy, undoOf, finalizeTime }) => !undoneBy && !undoOf && !finalizeTime,
        () => ({ finalizeTime: new Date() }),
      ),
    found: 'a finalized move has its event',
  },
  {
    what: 'a move that was finalized twice',
    where: 'project.events',
    spoil: (all) => again(all, 'move_finalized'),
    found: 'a move is finalized once',
  },
  {
    what: 'a project that was undeleted twice',
    where: 'project.events',
    spoil: (all) => again(all, 'undeleted'),
    found: 'only a deleted project is undeleted',
  },
  {
    what: 'a project that forgot its latest move',
    where: 'project.projects',
    spoil: (all) =>
      change(
        all,
        ({ moveId }) => moveId,
        () => ({ moveId: undefined }),
      ),
    found: 'a project names its latest move',
  },
  {
    what: 'a project without a token',
    where: 'token.projects',
    spoil: (all, { projectIds }) => omit(all, ({ _id }) => _id === projectIds[0]),
    found: 'every project has a token',
  },
  {
    what: 'a project with two live tokens',
    where: 'token.project_tokens',
    spoil: (all) => [...all, { ...all[0], _id: Buffer.alloc(32) }],
    found: 'a project’s current token alone is live',
  },
  {
    what: 'a token that was replaced without an event',
    where: 'token.projects',
    spoil: (all) =>
      change(all, any, ({ current }) => ({ current: { ...current, fingerprint: '000000000000' } })),
    found: 'a project’s token is the one of its last event',
  },
  {
    what: 'a token of a project that never existed',
    where: 'token.projects',
    spoil: (all) => [...all, { _id: 'prj_unknown', revision: 0 }],
    found: 'every token belongs to a project that existed',
  },
  {
    what: 'an account without its first key',
    where: 'token.api_keys',
    spoil: (all, { ada }) => omit(all, ({ _id }) => _id === ada.apiKeyId),
    found: 'a key exists until its last secret is revoked',
  },
  {
    what: 'a finished saga whose key was never made',
    where: 'token.events',
    spoil: (all, { ada }) =>
      change(
        all,
        ({ subject }) => subject === ada.apiKeyId,
        () => ({ event: 'key_unheard_of' }),
      ),
    found: 'a finished saga has had each of its effects once',
  },
  {
    what: 'a secret without its fact',
    where: 'token.key_secrets',
    spoil: (all) => omit(all, any),
    found: 'a key’s secrets are its facts',
  },
  {
    what: 'an event that is sequenced and still in the outbox',
    where: 'project.outbox',
    spoil: (_, { ada }) => [
      {
        _id: { at: new Date(), id: 'again' },
        ...{ time: new Date(), actor: ada.account.id, correlationId: '' },
        events: [{ id: 'twice', event: 'unheard_of', subject: 'x', body: '{}' }].concat({
          id: 'twice',
          event: 'unheard_of',
          subject: 'x',
          body: '{}',
        }),
      },
    ],
    found: 'an event has one sequence',
  },
  {
    what: 'an effect before its cause',
    where: 'project.events',
    spoil: (all) => {
      const moved = all.find(({ event }) => event === 'moved');
      const created = all.find(
        ({ event, subject }) => event === 'created' && subject === moved?.subject,
      );
      return all.map((each) => {
        if (each._id === moved?._id) return { ...created, _id: each._id };
        return each._id === created?._id ? { ...moved, _id: each._id } : each;
      });
    },
    found: 'causes precede effects',
  },
  {
    what: 'a secret in bytes',
    where: 'token.requests',
    spoil: (all) =>
      change(all, any, () => ({ response: Buffer.from(`\u0001${newApiKey()}\u00ff`) })),
    found: 'no secret is stored or published',
  },
  {
    what: 'a project token in an event',
    where: 'token.events',
    spoil: (all, { ada }) =>
      change(all, any, (each) => withBody(each, { token: ada.projectToken })),
    found: 'no project token is published',
  },
  {
    what: 'a project that was created twice',
    where: 'project.events',
    spoil: (all) => again(all, 'created'),
    found: 'a project is created once',
  },
  {
    what: 'a move with its event twice',
    where: 'project.events',
    spoil: (all) => again(all, 'moved'),
    found: 'a move has one event per project',
  },
  {
    what: 'a second deletion of a project',
    where: 'project.events',
    spoil: (all) => again(all, 'deleted'),
    found: 'only an existing project changes',
  },
  {
    what: 'a deleted organization with a project',
    where: 'project.slots',
    spoil: (all) =>
      change(
        all,
        ({ closed }) => closed,
        () => ({ count: 1 }),
      ),
    found: 'a deleted organization has no project',
  },
  {
    what: 'a secret that was rolled without an event',
    where: 'token.api_keys',
    spoil: (all) =>
      change(all, any, ({ secrets: [secret, ...rest] }) => ({
        secrets: [{ ...secret, fingerprint: '000000000000' }, ...rest],
      })),
    found: 'a key’s secret is that of its last event',
  },
  {
    what: 'a key of no account',
    where: 'token.api_keys',
    spoil: (all) => change(all, any, () => ({ accountId: 'acc_nobody' })),
    found: 'every key is an account’s',
  },
  {
    what: 'a secret that works without a key',
    where: 'token.key_secrets',
    spoil: (all) => [...all, { ...all[0], _id: Buffer.alloc(32), keyId: 'key_gone' }],
    found: 'a secret’s fact ends with its key',
  },
  {
    what: 'a live token without a project',
    where: 'token.project_tokens',
    spoil: (all) => [...all, { _id: Buffer.alloc(32), projectId: 'prj_unknown' }],
    found: 'a live token is its project’s current token',
  },
];
