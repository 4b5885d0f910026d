import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { PublicApi } from '../../harness/clients.ts';
import { readsProject, twoPeople } from './people.ts';
import { patience, type Worker } from './worker.ts';

export async function* removeMember(worker: Worker): AsyncGenerator<void> {
  const what = 'a member, RemoveMember';
  const { boss, other, organizationId, join } = await twoPeople(worker, Level.LEVEL_MEMBER);
  const access = readsProject(other.apiKey, boss.projectId);
  const held = worker.give(what, access, await join());
  for (;;) {
    await worker.take('RemoveMember', [held], boss.apiKey, (api, requestId) =>
      api.organizations.removeMember(
        { organizationId, accountId: other.accountId, etag: '', requestId },
        patience,
      ),
    );
    yield;
    worker.giveAgain(held, what, await join());
  }
}

export async function* leaveOrganization(worker: Worker): AsyncGenerator<void> {
  const what = 'a member, LeaveOrganization';
  const { boss, other, organizationId, join } = await twoPeople(worker, Level.LEVEL_ADMIN);
  const access = readsProject(other.apiKey, boss.projectId);
  const held = worker.give(what, access, await join());
  for (;;) {
    await worker.take('LeaveOrganization', [held], other.apiKey, (api, requestId) =>
      api.organizations.leaveOrganization({ organizationId, requestId }, patience),
    );
    yield;
    worker.giveAgain(held, what, await join());
  }
}

export async function* updateMember(worker: Worker): AsyncGenerator<void> {
  const what = 'an admin, UpdateMember';
  const { boss, other, organizationId, join } = await twoPeople(worker, Level.LEVEL_ADMIN);
  const access = {
    ...({ kind: 'key', key: other.apiKey } as const),
    ...{ scope: 'organization:write', organizationId, level: Level.LEVEL_ADMIN },
  };
  const member = {
    ...{ organizationId, accountId: other.accountId, email: '', displayName: '' },
    ...{ joinTime: undefined, etag: '' },
  };
  const update = (level: Level) => (api: PublicApi, requestId: string) =>
    api.organizations.updateMember(
      { member: { ...member, level }, updateMask: undefined, requestId },
      patience,
    );
  const held = worker.give(what, access, await join());
  for (;;) {
    await worker.take('UpdateMember', [held], boss.apiKey, update(Level.LEVEL_MEMBER));
    yield;
    const raised = await worker.do(boss.apiKey, update(Level.LEVEL_ADMIN));
    worker.giveAgain(held, what, raised.sentMs);
  }
}

export async function* updateOrganization(worker: Worker): AsyncGenerator<void> {
  const what = 'leave to create projects, UpdateOrganization';
  const { other, boss, organizationId, join } = await twoPeople(worker, Level.LEVEL_MEMBER);
  const access = {
    ...({ kind: 'key', key: other.apiKey } as const),
    ...{ scope: 'project:write', organizationId, membersMayCreate: true },
  };
  const update = (membersMayCreateProjects: boolean) => (api: PublicApi, requestId: string) =>
    api.organizations.updateOrganization(
      {
        organization: {
          ...{
            id: organizationId,
            name: '',
            membersMayCreateProjects,
            level: Level.LEVEL_UNSPECIFIED,
          },
          ...{ createTime: undefined, updateTime: undefined, etag: '' },
        },
        updateMask: ['members_may_create_projects'],
        requestId,
      },
      patience,
    );
  const held = worker.give(what, access, await join());
  for (;;) {
    await worker.take('UpdateOrganization', [held], boss.apiKey, update(false));
    yield;
    worker.giveAgain(held, what, (await worker.do(boss.apiKey, update(true))).sentMs);
  }
}
