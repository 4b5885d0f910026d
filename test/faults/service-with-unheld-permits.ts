/**
 * A service as it is started for a control run: its permits hold nobody up. They are let go as soon
 * as they are taken, and say that they are held.
 */

import { basename } from 'node:path';
import type { Access } from '@silo/access/access.ts';
import { billingService } from '@silo/billing-service/service.ts';
import { orgService } from '@silo/org-service/service.ts';
import { projectService } from '@silo/project-service/service.ts';
import { runService } from '@silo/service/run-service.ts';
import { tokenService } from '@silo/token-service/service.ts';

const unheld = { remainingMs: () => 30_000, release: () => {} };

function withUnheldPermits(access: Access): Access {
  return {
    recallToken: (token) => access.recallToken(token),
    verifyToken: (token, signal) => access.verifyToken(token, signal),
    authorize: (question, signal) => access.authorize(question, signal),
    permit: async (question, signal) => {
      const answer = await access.permit(question, signal);
      if (!answer.allowed) return answer;
      answer.permit.release();
      return { ...answer, permit: unheld };
    },
    permitToken: async (token, signal) => {
      const answer = await access.permitToken(token, signal);
      if (!answer.allowed) return answer;
      answer.permit.release();
      return { ...answer, permit: unheld };
    },
  };
}

/** The service is determined by its certificate, also where it has several processes. */
const { TLS_CERT: certificate = '' } = process.env;
const definition = [orgService, projectService, tokenService, billingService].find(
  ({ name }) => basename(certificate) === `service-${name}.pem`,
);
if (definition === undefined) throw new Error(`no service has ${certificate}`);
await runService(definition, { alterAccess: withUnheldPermits });
