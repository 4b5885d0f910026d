import { EventFilter, PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import type { Bench } from '../bench-servers.ts';
import { as, BareEvents, captureSamples, copies, eventClient } from '../captured.ts';
import { Live } from '../live.ts';
import { compareThroughputs, type Load } from '../measure.ts';
import { type Measured, perSecond, type Row } from '../row.ts';
import { createTenant, type Tenant } from '../tenant.ts';
import { commonHost } from '../web-events.ts';

const projectCount = 100;
const eventCount = 1_000_000;
const sampleCount = 2_000;
const pageSize = 100;
const clients = 4;

/**
 * Pages per second that `QueryEvents` answers over public gRPC, 4 callers at once: the newest 100
 * events with a common `$host` of one of 100 projects, which hold a million events together.
 *
 * The floor: a bare `find` of the same documents by the best index, from this process.
 */
export const queryHost: Row = {
  name: 'query-host',
  unit: 'pages/s',
  goal: { of: 'ratio', atLeast: 0.9 },
  about: `QueryEvents by $host, pages of ${pageSize} among ${eventCount} events of ${projectCount} projects (--events); floor: a bare find on the best index`,
  run: measure,
};

async function measure(bench: Bench): Promise<Measured> {
  const silo = await bench.silo();
  await using live = new Live(silo);
  using tenant = await createTenant(silo, live, { projects: projectCount });
  const samples = await captureSamples(silo, live, tenant, sampleCount);
  await using bare = await BareEvents.open(silo.endpoints.mongodb, 'silo_project');
  const { projectIds } = tenant;
  await bare.load(copies(samples, projectIds, bench.events ?? eventCount));
  using client = eventClient(silo);
  const measured = queryLoad(client, tenant);
  const floor = findLoad(bare.collection, projectIds);
  return perSecond(await compareThroughputs({ floor, measured }, { rounds: 15, warmUpRounds: 4 }));
}

/** The newest events with the host, of the projects in turn. */
function queryLoad(client: ReturnType<typeof eventClient>, { projectIds, apiKey }: Tenant): Load {
  const operator = PropertyOperator.PROPERTY_OPERATOR_EQUAL;
  const condition = { name: '$host', operator, values: [JSON.stringify(commonHost)] };
  const filter = EventFilter.fromPartial({ properties: [condition] });
  let next = 0;
  return {
    clients,
    operation: async () => {
      const projectId = projectIds[next++ % projectIds.length] ?? '';
      const request = { projectId, filter, pageSize, pageToken: '' };
      const { events } = await client.queryEvents(request, as(apiKey));
      requirePage(events.length);
    },
  };
}

function findLoad(events: BareEvents['collection'], projectIds: readonly string[]): Load {
  let next = 0;
  return {
    clients,
    operation: async () => {
      const project = projectIds[next++ % projectIds.length] ?? '';
      const found = await events
        .find({ '_id.project': project, x0: commonHost })
        .sort({ time: -1, '_id.uuid': -1 })
        .hint('by_x0')
        .limit(pageSize)
        .toArray();
      requirePage(found.length);
    },
  };
}

function requirePage(length: number): void {
  if (length !== pageSize) throw new Error(`a page has ${length} events instead of ${pageSize}`);
}
