import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  AccessServiceService,
  type TokenFacts,
} from '@silo/protos/gen/silo/token/internal/v1/access_service.ts';
import { startForked } from '../../harness/forked.ts';
import { presentBuild } from '../build.ts';
import type { Addresses, EmptyServersOptions } from '../empty-servers.ts';
import { compareThroughputs } from '../measure.ts';
import { perSecond, type Row } from '../row.ts';
import { callLoad } from '../rpc-load.ts';

/**
 * Calls per second of `VerifyToken` through Silo's server stack without tracing, whose handler
 * answers with the same facts at once. The floor is the same with another build: the commit before
 * spans were added shows what they cost while they are off.
 */
export const verifyTracedOff: Row = {
  name: 'verify-traced-off',
  unit: 'calls/s',
  goal: { of: 'ratio', atLeast: 0.98 },
  about: 'VerifyToken through our server stack without tracing; floor: the build of --against',
  needsAgainst: true,
  run: async (bench) => {
    const tls = await bench.certificate('service', 'project');
    const facts: TokenFacts = { projectId: 'prj_bench', organizationId: 'org_us_bench' };
    const options: EmptyServersOptions = {
      tls: await bench.certificate('service', 'org'),
      facts,
    };
    const startIn = (build: string) =>
      startForked<Addresses>(
        pathToFileURL(join(build, 'test', 'bench', 'empty-servers.ts')),
        options,
      );
    await using before = await startIn(await bench.againstBuild());
    await using present = await startIn(presentBuild);
    const called = {
      method: AccessServiceService.verifyToken,
      request: { token: `phc_${'0'.repeat(49)}` },
    };
    using measured = callLoad(present.ready.ours, tls, called);
    using floor = callLoad(before.ready.ours, tls, called);
    return perSecond(
      await compareThroughputs({ floor, measured }, { rounds: 31, warmUpRounds: 5, roundMs: 300 }),
    );
  },
};
