import { randomBytes, randomUUID } from 'node:crypto';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { connect } from '@silo/rpc/client.ts';
import { isWellFormed, secretPrefixes } from '@silo/tokens/secrets.ts';
import { claim, given, refused } from '../claim.ts';
import { holderOf } from '../person.ts';
import { type Cast, claimTokenGood, type Person, type Stage } from '../stage.ts';

/** Two people sign up; a second sign-up with the same e-mail is refused. */
export async function signUp(stage: Stage): Promise<Cast> {
  const { narrator } = stage;
  narrator.chapter('Two people sign up');
  // New e-mails, so that the demo can run again on the same Silo.
  const suffix = randomBytes(4).toString('hex');
  const ada = await createAccount(stage, 'Ada', 'Analytical Engines', suffix);
  const grace = await createAccount(stage, 'Grace', 'Harbor Compilers', suffix);
  await narrator.step('An e-mail has one account, whatever its case', async (step) => {
    const again = { ...newcomer('Ada', 'Elsewhere', suffix), email: ada.email.toUpperCase() };
    step.refusal(await refused('EMAIL_TAKEN', publicAccounts(stage).createAccount(again)));
  });
  return { ada, grace };
}

/** Signs up in the region of the stage. */
export async function createAccount(
  stage: Stage,
  name: string,
  organizationName: string,
  suffix: string,
): Promise<Person> {
  const { narrator } = stage;
  const title = `${name} creates an account: an organization, a Default Project, a token and a key come with it`;
  return await narrator.step(title, async (step) => {
    const request = newcomer(name, organizationName, suffix);
    const answer = await publicAccounts(stage).createAccount(request);
    const { projectId, projectToken, apiKey } = answer;
    const account = given(answer.account, 'account');
    const organization = given(answer.organization, 'organization');
    narrator.name(account.id, name);
    narrator.name(organization.id, organizationName);
    narrator.name(projectId, `${name}’s Default Project`);
    narrator.name(answer.apiKeyId, `${name}’s first key`);
    step.say(`account       ${name}, ${account.email}`);
    step.say(`organization  ${organization.name}`);
    step.say(`project       ${projectId}`);
    step.say(`its token     ${projectToken}`);
    step.say(`API key       ${apiKey.slice(0, 4)}…${apiKey.slice(-4)}`);

    claim('the e-mail', account.email, request.email);
    claim('the level in the own organization', organization.level, Level.LEVEL_OWNER);
    claim('the region in the id', organization.id.slice(0, 7), `org_${stage.region}_`);
    claim('the API key has its form', isWellFormed(apiKey, secretPrefixes.apiKey), true);
    const api = holderOf(stage.wires, apiKey);
    claim('the account of the key', (await api.getAccount()).id, account.id);
    const project = await api.getProject(projectId);
    claim(
      'the project',
      [project.name, project.organizationId],
      ['Default Project', organization.id],
    );
    await claimTokenGood(stage, projectToken, { projectId, organizationId: organization.id });
    const { plan, projectLimit, projectCount } = await api.getSubscription(organization.id);
    claim('plan, limit and count', [plan, projectLimit, projectCount], [Plan.PLAN_FREE, 1, 1]);
    step.say('on the free plan, 1 of 1 projects');
    await step.events(
      { type: 'org.account_created', about: account.id },
      {
        type: 'org.organization_created',
        about: organization.id,
        body: { name: organizationName },
      },
      { type: 'billing.subscription_created', about: organization.id, body: { plan: 'PLAN_FREE' } },
      { type: 'project.created', about: projectId, body: { organizationId: organization.id } },
      { type: 'token.created', about: projectId },
      { type: 'token.key_created', about: answer.apiKeyId, body: { accountId: account.id } },
    );
    return {
      name,
      email: account.email,
      accountId: account.id,
      organization: { id: organization.id, name: organizationName },
      defaultProject: { id: projectId, name: project.name, token: projectToken },
      api,
    };
  });
}

function newcomer(name: string, organizationName: string, suffix: string) {
  return {
    email: `${name.toLowerCase()}-${suffix}@example.com`,
    displayName: name,
    organizationName,
    requestId: randomUUID(),
  };
}

function publicAccounts({ wires }: Stage) {
  return connect(AccountServiceClient, wires.org, wires.call);
}
