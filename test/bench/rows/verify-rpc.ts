import {
  AccessServiceService,
  type TokenFacts,
  type VerifyTokenResponse,
} from '@silo/protos/gen/silo/token/internal/v1/access_service.ts';
import { startForked } from '../../harness/forked.ts';
import type { Addresses, EmptyServersOptions } from '../empty-servers.ts';
import { Live } from '../live.ts';
import { compareThroughputs } from '../measure.ts';
import { perSecond, type Row } from '../row.ts';
import { type CalledMethod, callLoad } from '../rpc-load.ts';
import { createTenant } from '../tenant.ts';

/**
 * Calls per second of `AccessService.VerifyToken` with one valid token, over mTLS, 32 in flight on
 * one connection, answered by the token service from its guard's memory. The floor: the same bytes
 * through Silo's own server stack, in a separate process whose handler answers without reading the
 * request.
 */
export const verifyRpc: Row = {
  name: 'verify-rpc',
  unit: 'calls/s',
  goal: { of: 'ratio', atLeast: 0.9 },
  about: 'VerifyToken; floor: an RPC of the same bytes through our server stack that does nothing',
  run: async (bench) => {
    const silo = await bench.silo();
    await using live = new Live(silo);
    using tenant = await createTenant(silo, live, { projects: 1 });
    const { projectId, projectToken: token } = tenant;
    const facts: TokenFacts = { projectId, organizationId: tenant.organizationIds[0] };
    const options: EmptyServersOptions = { tls: await bench.certificate('service', 'org'), facts };
    await using servers = await startForked<Addresses>(
      new URL('../empty-servers.ts', import.meta.url),
      options,
    );
    const called: CalledMethod<{ token: string }, VerifyTokenResponse> = {
      method: AccessServiceService.verifyToken,
      request: { token },
      isGood: (response) =>
        response?.answer?.$case === 'facts' && response.answer.value.projectId === projectId,
    };
    const { ca, guard, services } = silo.endpoints;
    const tls = { ca, ...guard };
    using measured = callLoad(services.token.internal, tls, called);
    using floor = callLoad(servers.ready.ours, tls, called);
    return perSecond(
      await compareThroughputs({ floor, measured }, { rounds: 31, warmUpRounds: 3, roundMs: 300 }),
    );
  },
};
