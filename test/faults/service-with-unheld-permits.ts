/**
 * A service for a control run, without the protection of permits: each is released as soon as it is
 * taken, and still reports that it is held.
 */

import { basename } from 'node:path';
import type { Access } from '@silo/access/access.ts';
import { billingService } from '@silo/billing-service/service.ts';
import { orgService } from '@silo/org-service/service.ts';
import { projectService } from '@silo/project-service/service.ts';
import { runService } from '@silo/service/run-service.ts';
import { tokenService } from '@silo/token-service/service.ts';
import { withAlteredPermits } from '../harness/altered-permits.ts';

const unheld = { remainingMs: () => 30_000, release: () => {} };

function withUnheldPermits(access: Access): Access {
  return withAlteredPermits(access, (permit) => {
    permit.release();
    return unheld;
  });
}

/** The certificate determines the service, even if it has several processes. */
const { TLS_CERT: certificate = '' } = process.env;
const definition = [orgService, projectService, tokenService, billingService].find(
  ({ name }) => basename(certificate) === `service-${name}.pem`,
);
if (definition === undefined) throw new Error(`no service has ${certificate}`);
await runService(definition, { alterAccess: withUnheldPermits });
