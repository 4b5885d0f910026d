import { AccessServiceClient } from '@silo/protos/gen/silo/token/internal/v1/access_service.ts';
import { connect, createChannel } from '@silo/rpc/client.ts';
import { hashOf } from '@silo/tokens/secrets.ts';
import { Bare, sequence } from '../bare.ts';
import { Live } from '../live.ts';
import { compareLatencies } from '../measure.ts';
import { milliseconds, type Row } from '../row.ts';
import { createTenant } from '../tenant.ts';

/**
 * `AccessService.VerifyToken` of a good token, over mTLS, one call after another: the median.
 *
 * The floor: the two linearizable reads that the answer rests on, one after another, since the
 * token's fact names the project: the token by its hash, then the project.
 */
export const verifyRpc: Row = {
  name: 'verify-rpc',
  unit: 'ms',
  goal: { of: 'ratio', atMost: 2 },
  about: 'VerifyToken, p50; floor: two bare linearizable reads, one after another',
  run: async (bench) => {
    const silo = await bench.silo();
    await using live = new Live(silo);
    await using bare = await Bare.open(silo.endpoints.mongodb, 'bench-floor-verify-rpc');
    using tenant = await createTenant(silo, live, { projects: 1 });
    const { projectId, projectToken: token } = tenant;
    const tokenFact = await live.find('token', 'project_tokens', { _id: hashOf(token) });
    const project = await live.find('project', 'projects', { _id: projectId });
    const { ca, staff, services } = silo.endpoints;
    using channel = createChannel(services.token.internal, { ca, ...staff });
    const access = connect(AccessServiceClient, channel, { refusals: true });
    const took = await compareLatencies(
      {
        floor: sequence([
          await bare.read('tokens', tokenFact),
          await bare.read('projects', project),
        ]),
        measured: async () => {
          const { answer } = await access.verifyToken({ token });
          if (answer?.$case !== 'facts') throw new Error('the token is refused');
        },
      },
      { rounds: 80 },
    );
    return milliseconds(took);
  },
};
