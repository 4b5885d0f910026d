import { newApiKey } from '@silo/tokens/secrets.ts';
import type { Streamed } from '../invariants/stream.ts';

type Spoilt = { what: string; spoil: (messages: Streamed[]) => Streamed[]; found: string };

const first = (messages: Streamed[], name: string) =>
  messages.findIndex(({ subject }) => subject.startsWith(name));

/** Injected faults in the stream, and the invariant that each violates. */
export const streamBreakages: Spoilt[] = [
  {
    what: 'an event that was never published',
    spoil: (messages) => messages.toSpliced(first(messages, 'project.moved'), 1),
    found: 'every event is published',
  },
  {
    what: 'an event that is published before an earlier one',
    spoil: (messages) => {
      const index = first(messages, 'org.member_added');
      const [early] = messages.splice(index, 1);
      return early === undefined ? [] : [...messages, early];
    },
    found: 'events are first published in order',
  },
  {
    what: 'an event that is published differently from the log',
    spoil: (messages) =>
      messages.map((each, index) => (index === 2 ? { ...each, body: '{}' } : each)),
    found: 'published events equal those of the log',
  },
  {
    what: 'an event that is not in the log',
    spoil: (messages) => [...messages, { ...(messages[0] as Streamed), id: 'invented' }],
    found: 'published events equal those of the log',
  },
  {
    what: 'a secret in what was published',
    spoil: (messages) =>
      messages.map((each, index) => (index === 2 ? { ...each, body: newApiKey() } : each)),
    found: 'no secret is stored or published',
  },
];
