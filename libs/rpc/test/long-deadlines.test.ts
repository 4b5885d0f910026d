import { HealthClient } from '@silo/protos/gen/grpc/health/v1/health.ts';
import { EventLogServiceClient } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import test, { type ExecutionContext } from 'ava';
import type { StreamHandler } from '../mount.ts';
import {
  accountService,
  channelTo,
  connect,
  createAccountRequest,
  eventLogService,
  makeAuthority,
  outcomeOf,
  serve,
} from './support.ts';

const dayMs = 24 * 60 * 60 * 1_000;
/** Around the limits of 32-bit milliseconds, signed and unsigned, and beyond. */
const farDays = [24, 25, 30, 49, 49.8, 60, 365];

async function startBoth(t: ExecutionContext) {
  const tls = await (await makeAuthority(t))('service', 'org');
  const followed: number[] = [];
  const readEvents: StreamHandler<unknown, { events: []; head: undefined }> = async function* (
    _,
    call,
  ) {
    followed.push(call.remainingMs());
    yield { events: [], head: undefined };
    await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
  };
  const ports = {
    public: await serve(t, { tls, internal: false, services: [accountService()] }),
    internal: await serve(t, { tls, internal: true, services: [eventLogService({ readEvents })] }),
  };
  return { tls, ports, followed };
}

for (const days of farDays) {
  const deadlineMs = days * dayMs;
  test(`a deadline ${days} days away is kept by unary calls on both ports`, async (t) => {
    const { tls, ports } = await startBoth(t);
    const accounts = connect(AccountServiceClient, channelTo(t, ports.public, tls));
    const eventLog = connect(EventLogServiceClient, channelTo(t, ports.internal, tls));
    const created = accounts.createAccount(createAccountRequest, { deadlineMs, refusals: true });
    t.is(await outcomeOf(created), 'OK');
    t.is(await outcomeOf(eventLog.getHead({}, { deadlineMs, refusals: true })), 'OK');
  });

  test(`a stream with a deadline ${days} days away continues after its first response`, async (t) => {
    const { tls, ports, followed } = await startBoth(t);
    const stop = new AbortController();
    const options = { deadlineMs, signal: stop.signal };
    const eventLog = connect(EventLogServiceClient, channelTo(t, ports.internal, tls));
    const request = { afterSequence: 0, batchSize: 0, follow: true };
    const events = eventLog.readEvents(request, options)[Symbol.asyncIterator]();
    t.false((await events.next()).done);
    // The server's own deadline is absent, or later than Node's timers support.
    t.true((followed[0] ?? 0) > Math.min(deadlineMs, 2 ** 31 - 1) - dayMs);
    let isOver = false;
    const next = events.next().catch(() => {
      isOver = true;
    });
    // A complete second call takes longer than a timer that fires at once.
    await eventLog.getHead({});
    t.false(isOver);

    for (const port of [ports.public, ports.internal]) {
      const health = connect(HealthClient, channelTo(t, port, tls));
      const watched = health.watch({ service: '' }, options)[Symbol.asyncIterator]();
      t.false((await watched.next()).done);
      port.health.setServing(true);
      t.false((await watched.next()).done, 'the watch ended before the second response');
      await watched.return?.();
    }
    stop.abort();
    await next;
  });
}
