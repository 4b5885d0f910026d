import { endedBy } from '@silo/guard/core/event-effects.ts';
import type { Source } from '@silo/guard/core/position.ts';
import { eventType } from '@silo/log/event-types.ts';
import { compareThroughputs, type Load } from '../measure.ts';
import { perSecond, type Row } from '../row.ts';

/** Number of events between two readings of the clock. */
const eventsAtOnce = 1_000;

const time = '2026-02-03T04:05:06.789Z';
const actor = 'acc_01k8zq3v5w6x7y8z9a0b1c2d3e';
const about = { revision: 7, actor, time };
const organizationId = 'org_us_01k8zq3v5w6x7y8z9a0b1c2d3e';
const projectId = 'prj_01k8zq3v5w6x7y8z9a0b1c2d3e';

type Sample = { source: Source; type: string; bodyJson: string };

/** Events that end access, as services write them. */
const samples: readonly Sample[] = [
  sample('token', 'revoked', {
    ...{ projectId, organizationId, ...about },
    ...{ fingerprint: '0123456789ab', newFingerprint: 'ba9876543210' },
  }),
  sample('project', 'moved', {
    ...{ projectId, name: 'Example', undoOf: '', projectCount: 1, ...about },
    ...{ oldOrganizationId: organizationId, newOrganizationId: organizationId },
  }),
  sample('org', 'member_removed', {
    ...{ organizationId, accountId: actor, oldLevel: 'LEVEL_ADMIN', left: true, ...about },
  }),
];

/**
 * The work of guards for each event that they receive: determine from its type and body what it
 * ends. The floor only parses the body. One process, one core.
 */
export const decodeEvent: Row = {
  name: 'decode-event',
  unit: 'batches/s',
  goal: { of: 'ratio', atLeast: 0.15 },
  about:
    'batches of 1,000 events of which it is decided what they end, as guards do; floor: JSON.parse of their bodies',
  run: async () => {
    const measured = load(({ source, type, bodyJson }) => {
      if (endedBy(source, type, bodyJson) === 'everything') throw new Error(`${type} is unknown`);
    });
    return perSecond(
      await compareThroughputs({
        measured,
        floor: load(({ bodyJson }) => JSON.parse(bodyJson)),
      }),
    );
  },
};

function sample(source: Source, event: string, body: object): Sample {
  return { source, type: eventType(source, event), bodyJson: JSON.stringify(body) };
}

function load(handle: (sample: Sample) => void): Load {
  return {
    clients: 1,
    operation: async () => {
      for (let event = 0; event < eventsAtOnce; event++) {
        const next = samples[event % samples.length];
        if (next !== undefined) handle(next);
      }
    },
  };
}
