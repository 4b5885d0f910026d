import { eventType } from '@silo/events/envelope.ts';
import type { SourceLog } from '@silo/guard/logs.ts';
import type { EventLog } from '@silo/log/event-log.ts';

const pageSizeMax = 1_000;

/** The service's own log, as its guard reads it: as others do, without the way over the network. */
export function ownLog(eventLog: EventLog): SourceLog {
  const { service } = eventLog;
  return {
    head: (signal) => eventLog.numberNow(signal),
    read: async (afterSequence, signal) => {
      const { events, head } = await eventLog.read({ afterSequence, limit: pageSizeMax }, signal);
      const reported = events.map(({ sequence, event, bodyJson }) => {
        return { sequence, type: eventType(service, event), bodyJson };
      });
      return { events: reported, head };
    },
  };
}
