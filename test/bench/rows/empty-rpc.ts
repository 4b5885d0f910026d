import {
  EventLogServiceService,
  GetHeadRequest,
} from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { TokenFacts } from '@silo/protos/gen/silo/token/internal/v1/access_service.ts';
import { startForked } from '../../harness/forked.ts';
import type { Addresses, EmptyServersOptions } from '../empty-servers.ts';
import { compareThroughputs } from '../measure.ts';
import { perSecond, type Row } from '../row.ts';
import { callLoad } from '../rpc-load.ts';

/**
 * Calls per second that Silo's server stack answers: an empty unary RPC over mTLS, 32 in flight on
 * one connection. The whole pipeline runs: role check, shape, deadline, metrics, the log of the
 * call. The floor: bare grpc-js in the same process, with the same TLS, message and client.
 */
export const emptyRpc: Row = {
  name: 'empty-rpc',
  unit: 'calls/s',
  goal: { of: 'ratio', atLeast: 0.8 },
  about: 'an empty unary RPC through our server stack; floor: bare grpc-js with the same TLS',
  run: async (bench) => {
    const tls = await bench.certificate('service', 'project');
    const options: EmptyServersOptions = {
      tls: await bench.certificate('service', 'org'),
      facts: TokenFacts.create(),
    };
    await using servers = await startForked<Addresses>(
      new URL('../empty-servers.ts', import.meta.url),
      options,
    );
    const { ours, bare } = servers.ready;
    const called = { method: EventLogServiceService.getHead, request: GetHeadRequest.create() };
    using measured = callLoad(ours, tls, called);
    using floor = callLoad(bare, tls, called);
    return perSecond(
      await compareThroughputs({ floor, measured }, { rounds: 15, warmUpRounds: 3, roundMs: 300 }),
    );
  },
};
