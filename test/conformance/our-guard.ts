/**
 * Silo's own guard in the form that the conformance cases test: questions and decisions as lines of
 * JSON.
 */
import { createInterface } from 'node:readline';
import type { Answer, TokenAnswer } from '@silo/access/access.ts';
import { protectionNames, protectionsWithout } from '@silo/guard/core/protections.ts';
import { type CreateGuardOptions, createGuard } from '@silo/guard/create-guard.ts';

const setting = (name: string): string => process.env[name] ?? '';
const off = protectionNames.find((name) => name === setting('GUARD_WITHOUT'));
const options: CreateGuardOptions = {
  name: 'conformance',
  addresses: {
    org: setting('ORG_INTERNAL_ADDRESS'),
    project: setting('PROJECT_INTERNAL_ADDRESS'),
    token: setting('TOKEN_INTERNAL_ADDRESS'),
  },
  tls: { ca: setting('TLS_CA'), cert: setting('TLS_CERT'), key: setting('TLS_KEY') },
  nats: { url: setting('NATS_URL'), subjectPrefix: setting('NATS_SUBJECT_PREFIX') },
};
await using guard = createGuard(options, protectionsWithout(off));

const lines = createInterface({ input: process.stdin });
process.once('SIGTERM', () => {
  lines.close();
  process.stdin.destroy();
});
lines.on('line', (line) => void answer(JSON.parse(line)));
await new Promise((resolve) => lines.once('close', resolve));

async function answer({ id, ...question }: Record<string, never>): Promise<void> {
  const decision = await decide(question).then(
    ({ allowed }) => (allowed ? 'allowed' : 'refused'),
    () => 'unavailable',
  );
  console.log(JSON.stringify({ id, decision }));
}

async function decide(question: {
  verify_token?: string;
  authorize?: { key: string; scope: string; project_id: string };
}): Promise<TokenAnswer | Answer> {
  if (question.verify_token !== undefined) return await guard.verifyToken(question.verify_token);
  const { key = '', scope = '', project_id: projectId = '' } = question.authorize ?? {};
  return await guard.authorize(key, { scope, projectId });
}
