import type { PullEventsRequest } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import test from 'ava';
import { pullEvents } from '../handlers/peer/pull-events.ts';
import { createRegionStreams } from '../handlers/peer/region-streams.ts';
import { createMigrationSource } from '../store/migration-source.ts';
import { fromEu, fromRegion, offered } from './migration-support.ts';
import { refusalOf } from './support.ts';

test('a region has a maximum of streams that read events; another one is refused until one ends', async (t) => {
  const streams = createRegionStreams();
  const [first] = Array.from({ length: 32 }, () => streams.open(fromEu()));
  const refusal = await refusalOf((async () => streams.open(fromEu()))());
  t.is(refusal.reasonName, 'RATE_LIMITED');
  t.is(refusal.metadata.limit, 'region_streams');
  t.notThrows(() => streams.open(fromRegion('ap')));
  first?.[Symbol.dispose]();
  t.notThrows(() => streams.open(fromEu()));
});

test('a later pull of the same migration ends the earlier one', async (t) => {
  const { migration, migrations, db } = await offered(t);
  const streams = createRegionStreams();
  const dependencies = {
    migrations,
    streams,
    migrationSource: createMigrationSource({ db, clock: systemClock }),
  };
  const request: PullEventsRequest = {
    ...{ migrationId: migration._id, after: undefined, isScanned: true },
    ...{ resumeToken: Buffer.alloc(0), digestsOnly: false },
  };
  const stop = new AbortController();
  const pull = () => pullEvents(request, fromEu(stop.signal), dependencies);
  const [former, later] = [pull(), pull()];
  t.false((await former.next()).done);
  t.false((await later.next()).done);
  // The ended pull may send one more step.
  const rest = async () => {
    for await (const _ of former);
  };
  t.is((await refusalOf(rest())).reasonName, 'REQUEST_IN_PROGRESS');
  t.false((await later.next()).done);
  stop.abort();
});

test('a refused pull does not end the earlier one', async (t) => {
  const streams = createRegionStreams();
  const former = streams.openPull('mig_us_1', fromEu());
  const others = Array.from({ length: 31 }, () => streams.open(fromEu()));
  const refusal = await refusalOf((async () => streams.openPull('mig_us_1', fromEu()))());
  t.is(refusal.reasonName, 'RATE_LIMITED');
  t.false(former.signal.aborted);
  others[0]?.[Symbol.dispose]();
  const later = streams.openPull('mig_us_1', fromEu());
  t.true(former.signal.aborted);
  former[Symbol.dispose]();
  t.false(later.signal.aborted);
});
