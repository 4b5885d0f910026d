import { claim, refused } from '../claim.ts';
import { type Cast, claimTokenGood, claimTokenRefused, endedText, type Stage } from '../stage.ts';

/** A project token is replaced, and the old one is refused at once. */
export async function regenerateToken(stage: Stage, { ada }: Cast): Promise<void> {
  const { narrator } = stage;
  const { id: projectId, token: oldToken } = ada.defaultProject;
  const organizationId = ada.organization.id;
  narrator.chapter('A token is regenerated');

  const before = await narrator.step('Ada looks at the token of her project', async (step) => {
    const current = await ada.api.getProjectToken(projectId);
    claim('the token', current.token, oldToken);
    await claimTokenGood(stage, oldToken, { projectId, organizationId });
    step.say(`${oldToken}, fingerprint ${current.fingerprint}, is accepted`);
    return current;
  });

  const after = await narrator.step(
    'She regenerates it: the old one is refused at once',
    async (step) => {
      const current = await ada.api.regenerateProjectToken(projectId, before.fingerprint);
      const why = await claimTokenRefused(stage, oldToken);
      await claimTokenGood(stage, current.token, { projectId, organizationId });
      claim('why the old token is refused', why, 'TOKEN_INVALID');
      step.say(`old  ${oldToken} refused, ${why}`);
      step.say(`new  ${current.token} accepted`);
      step.say(endedText(current.propagation));
      await step.events({
        type: 'token.revoked',
        about: projectId,
        body: {
          organizationId,
          fingerprint: before.fingerprint,
          newFingerprint: current.fingerprint,
        },
      });
      return current;
    },
  );

  await narrator.step('Regenerating with an outdated fingerprint changes nothing', async (step) => {
    const late = ada.api.regenerateProjectToken(projectId, before.fingerprint);
    step.refusal(await refused('FINGERPRINT_MISMATCH', late));
    await claimTokenGood(stage, after.token, { projectId, organizationId });
    step.say('the new token is still accepted');
  });
}
