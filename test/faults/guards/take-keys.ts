import { keyMessage } from '../../authorization/world.ts';
import type { PublicApi } from '../../harness/clients.ts';
import { readsProject } from './people.ts';
import { type Person, patience, type Worker } from './worker.ts';

/** Careers that end tokens and keys. */
export async function* regenerateProjectToken(worker: Worker): AsyncGenerator<void> {
  const what = 'a project token, RegenerateProjectToken';
  const { projectId, apiKey, organizationId, projectToken } = await worker.signUp('Regina');
  const inOrganization = { kind: 'token', organizationId } as const;
  let held = worker.give(what, { ...inOrganization, token: projectToken }, 0);
  for (;;) {
    const { answer, sentMs } = await worker.take(
      'RegenerateProjectToken',
      [held],
      apiKey,
      (api, requestId) =>
        api.projectTokens.regenerateProjectToken(
          { projectId, expectedFingerprint: '', requestId },
          patience,
        ),
    );
    held = worker.give(
      what,
      { ...inOrganization, token: answer.projectToken?.token ?? '' },
      sentMs,
    );
    yield;
  }
}

export async function* deleteApiKey(worker: Worker): AsyncGenerator<void> {
  const person = await worker.signUp('Delia');
  for (;;) {
    const { id: keyId, secret, sentMs } = await newKey(worker, person);
    const held = worker.give('a key, DeleteApiKey', readsProject(secret, person.projectId), sentMs);
    await worker.take('DeleteApiKey', [held], person.apiKey, (api, requestId) =>
      api.apiKeys.deleteApiKey({ keyId, etag: '', requestId }, patience),
    );
    yield;
  }
}

export async function* disableApiKey(worker: Worker): AsyncGenerator<void> {
  const what = 'a key, DisableApiKey';
  const person = await worker.signUp('Disa');
  const { id: keyId, secret, sentMs } = await newKey(worker, person);
  const held = worker.give(what, readsProject(secret, person.projectId), sentMs);
  for (;;) {
    await worker.take('DisableApiKey', [held], person.apiKey, (api, requestId) =>
      api.apiKeys.disableApiKey({ keyId, etag: '', requestId }, patience),
    );
    yield;
    const enabled = await worker.do(person.apiKey, (api, requestId) =>
      api.apiKeys.enableApiKey({ keyId, etag: '', requestId }, patience),
    );
    worker.giveAgain(held, what, enabled.sentMs);
  }
}

export async function* rollApiKey(worker: Worker): AsyncGenerator<void> {
  const what = 'a key, RollApiKey';
  const person = await worker.signUp('Rolf');
  const { id: keyId, secret, sentMs } = await newKey(worker, person);
  let held = worker.give(what, readsProject(secret, person.projectId), sentMs);
  for (;;) {
    const rolled = await worker.take('RollApiKey', [held], person.apiKey, (api, requestId) =>
      api.apiKeys.rollApiKey({ keyId, overlap: undefined, etag: '', requestId }, patience),
    );
    const next = readsProject(rolled.answer.secret, person.projectId);
    held = worker.give(what, next, rolled.sentMs);
    yield;
  }
}

/**
 * Alternates between removing the scope and restricting the key to something else than the project.
 */
export async function* updateApiKey(worker: Worker): AsyncGenerator<void> {
  const what = 'a key, UpdateApiKey';
  const person = await worker.signUp('Narcissa');
  const elsewhere = await worker.do(person.apiKey, (api, requestId) =>
    api.organizations.createOrganization({ name: 'Elsewhere', requestId }, patience),
  );
  const organizationIds = [elsewhere.answer.organization?.id ?? ''];
  const { id, secret, sentMs } = await newKey(worker, person);
  const held = worker.give(what, readsProject(secret, person.projectId), sentMs);
  const update =
    (fields: { scopes: string[]; organizationIds: string[] }) =>
    (api: PublicApi, requestId: string) =>
      api.apiKeys.updateApiKey(
        {
          apiKey: keyMessage({ id, ...fields }),
          updateMask: ['scopes', 'organization_ids'],
          requestId,
        },
        patience,
      );
  const narrow = [
    update({ scopes: ['token:write'], organizationIds: [] }),
    update({ scopes: ['*'], organizationIds }),
  ];
  for (let turn = 0; ; turn++) {
    const narrower = narrow[turn % narrow.length];
    if (narrower === undefined) return;
    await worker.take('UpdateApiKey', [held], person.apiKey, narrower);
    yield;
    const wide = update({ scopes: ['*'], organizationIds: [] });
    worker.giveAgain(held, what, (await worker.do(person.apiKey, wide)).sentMs);
  }
}

/** A further key of an account with all access to its project. */
async function newKey(worker: Worker, { apiKey }: Person, scopes = ['*']) {
  const { answer, sentMs } = await worker.do(apiKey, (api, requestId) =>
    api.apiKeys.createApiKey(
      { apiKey: keyMessage({ name: 'further', scopes }), requestId },
      patience,
    ),
  );
  return { id: answer.apiKey?.id ?? '', secret: answer.secret, sentMs };
}
