import type { Facts } from '@silo/doctor/facts.ts';
import type { Finding } from '@silo/doctor/findings.ts';
import type { Block } from '../text.ts';

/** Each finding with why it matters and what to do. */
export function findingBlocks(findings: readonly Finding[], facts: Facts): Block[] {
  if (findings.length === 0) return [{ text: `Healthy: ${seenText(facts)}.`, style: 'good' }];
  const blocks = findings.flatMap(({ name, where, what, why, remedy }): Block[] => [
    [
      { text: `${where}: ${what}`, style: 'bad' },
      { text: ` (${name})`, style: 'dim' },
    ],
    `  why it matters: ${why}`,
    `  what to do:     ${remedy}`,
  ]);
  const count = findings.length === 1 ? 'One finding' : `${findings.length} findings`;
  return [...blocks, `${count}; looked at ${seenText(facts)}.`];
}

/** What the doctor examined. */
function seenText({ processes, mongodb, nats, certificates }: Facts): string {
  const seen = processes.filter(({ process }) => 'seen' in process).length;
  return [
    `${seen} of ${processes.length} processes`,
    `${certificates.length} certificates`,
    'seen' in mongodb ? `MongoDB ${mongodb.seen.version}` : 'no MongoDB',
    'seen' in nats ? `NATS ${nats.seen.version}` : 'no NATS',
  ].join(', ');
}
