import { reasonName } from '@silo/errors/reason-name.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  AuthorizeRequest,
  VerifyTokenResponse,
} from '@silo/protos/gen/silo/token/internal/v1/access_service.ts';
import { fingerprintOf, newApiKey, newProjectToken } from '@silo/tokens/secrets.ts';
import { createKey, join } from '../authorization/world.ts';
import { certificate } from '../harness/certificates.ts';
import type { PublicApi } from '../harness/clients.ts';
import { outcomes, refused } from '../harness/refusals.ts';
import type { TestSilo } from '../harness/silo.ts';
import { present, scenarios } from './support.ts';

const test = scenarios();

function regenerate(api: PublicApi, projectId: string, expectedFingerprint = '') {
  return api.projectTokens.regenerateProjectToken({
    projectId,
    expectedFingerprint,
    requestId: '',
  });
}

async function verify(silo: TestSilo, token: string): Promise<string> {
  return spelled((await silo.internal().token.access.verifyToken({ token })).answer);
}

async function authorize(silo: TestSilo, fields: Partial<AuthorizeRequest>): Promise<string> {
  const request = { key: '', scope: '', target: undefined, level: 0 as Level, ...fields };
  return spelled((await silo.internal().token.access.authorize(request)).answer);
}

type Answered = { $case: 'facts' } | Extract<VerifyTokenResponse['answer'], { $case: 'refusal' }>;

/** `OK`, or the reason of the refusal. */
function spelled(answer: Answered | undefined): string {
  if (answer === undefined) return 'neither';
  return answer.$case === 'facts' ? 'OK' : reasonName(answer.value.reason);
}

test('after a token is regenerated the old one is refused and the new one works', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken: old } = await silo.signUp();
  t.is(await verify(silo, old), 'OK');
  const token = present((await regenerate(api, projectId)).projectToken);
  t.not(token.token, old);
  t.is(token.fingerprint, fingerprintOf(token.token));
  t.is(await verify(silo, old), 'TOKEN_INVALID');
  t.is(await verify(silo, token.token), 'OK');
  const read = await api.projectTokens.getProjectToken({ projectId });
  t.deepEqual(read.projectToken, token);
});

test('two admins do not replace each other’s new token if they send the fingerprint that they saw', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  const seen = fingerprintOf(projectToken);
  const both = [regenerate(api, projectId, seen), regenerate(api, projectId, seen)];
  t.deepEqual((await outcomes(both)).sort(), ['FINGERPRINT_MISMATCH', 'OK']);
  await refused(t, regenerate(api, projectId, seen), 'FINGERPRINT_MISMATCH');
});

test('after any number of concurrent regenerations, one token is left', async (t) => {
  const { silo } = t.context;
  const { api, projectId } = await silo.signUp();
  const all = await Promise.all(Array.from({ length: 5 }, () => regenerate(api, projectId)));
  const tokens = all.map(({ projectToken }) => present(projectToken).token);
  t.is(new Set(tokens).size, 5);
  const answers = await Promise.all(tokens.map((token) => verify(silo, token)));
  t.deepEqual(answers.sort(), ['OK', ...Array(4).fill('TOKEN_INVALID')]);
});

test('members see a token; only admins regenerate it', async (t) => {
  const { silo } = t.context;
  const [owner, member] = [await silo.signUp('Owner'), await silo.signUp('Member')];
  await join(owner, member, Level.LEVEL_MEMBER);
  const { projectId } = owner;
  const { projectToken } = await member.api.projectTokens.getProjectToken({ projectId });
  t.is(projectToken?.token, owner.projectToken);
  await refused(t, regenerate(member.api, projectId), 'ADMIN_REQUIRED');
});

test('a malformed, mistyped or unknown token, or a key, is refused with the same reason', async (t) => {
  const { silo } = t.context;
  const { projectToken, apiKey } = await silo.signUp();
  const mistyped = projectToken.slice(0, -1) + (projectToken.endsWith('0') ? '1' : '0');
  for (const token of ['', 'nonsense', mistyped, newProjectToken(), apiKey, 'x'.repeat(5_000)]) {
    t.is(await verify(silo, token), 'TOKEN_INVALID', token);
  }
});

test('a project token can never read, because it is not a key', async (t) => {
  const { silo } = t.context;
  const { projectId, projectToken } = await silo.signUp();
  const api = silo.as(projectToken);
  await refused(t, api.projects.getProject({ projectId }), 'TOKEN_INVALID');
  await refused(t, api.accounts.getAccount({}), 'TOKEN_INVALID');
  t.is(await authorize(silo, { key: projectToken }), 'TOKEN_INVALID');
});

test('Authorize returns facts, or the refusal that the key itself would get', async (t) => {
  const { silo } = t.context;
  const [owner, member] = [await silo.signUp('Owner'), await silo.signUp('Member')];
  await join(owner, member, Level.LEVEL_MEMBER);
  const project = { $case: 'projectId', value: owner.projectId } as const;
  const organization = { $case: 'organizationId', value: owner.organization.id } as const;
  const strange = { $case: 'projectId', value: member.projectId } as const;
  const strangers = { $case: 'organizationId', value: member.organization.id } as const;
  const { secret } = await createKey(owner.api, { scopes: ['project:read'] });
  const level = Level.LEVEL_ADMIN;
  const checks: [Partial<AuthorizeRequest>, string][] = [
    [{ key: owner.apiKey }, 'OK'],
    [{ key: owner.apiKey, target: project, level }, 'OK'],
    [{ key: member.apiKey, target: organization }, 'OK'],
    [{ key: member.apiKey, target: organization, level }, 'ADMIN_REQUIRED'],
    [{ key: secret, target: project, scope: 'project:read' }, 'OK'],
    [{ key: secret, target: project, scope: 'project:write' }, 'SCOPE_REQUIRED'],
    [{ key: owner.apiKey, target: strange }, 'PROJECT_NOT_FOUND'],
    [{ key: owner.apiKey, target: strangers }, 'ORGANIZATION_NOT_FOUND'],
    [{ key: owner.apiKey, target: { $case: 'projectId', value: 'x' } }, 'PROJECT_NOT_FOUND'],
    [{ key: newApiKey() }, 'TOKEN_INVALID'],
    [{ key: 'nonsense' }, 'TOKEN_INVALID'],
  ];
  for (const [request, outcome] of checks) {
    t.is(await authorize(silo, request), outcome, JSON.stringify(request));
  }
  const { answer } = await silo.internal().token.access.authorize({
    key: member.apiKey,
    scope: 'project:write',
    target: project,
    level: Level.LEVEL_UNSPECIFIED,
  });
  t.deepEqual(answer, {
    $case: 'facts',
    value: {
      keyId: member.apiKeyId,
      accountId: member.account.id,
      organizationId: owner.organization.id,
      level: Level.LEVEL_MEMBER,
      membersMayCreateProjects: true,
    },
  });
});

test('services, guards and staff call AccessService', async (t) => {
  const { silo } = t.context;
  const { projectToken: token } = await silo.signUp();
  for (const name of ['service-project', 'guard-edge', 'staff-operator']) {
    const { access } = silo.internal(certificate(name)).token;
    t.is((await access.verifyToken({ token })).answer?.$case, 'facts', name);
  }
});
