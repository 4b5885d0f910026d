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
    what: 'an event that came before one that it follows',
    spoil: (messages) => {
      const index = first(messages, 'org.member_added');
      const [early] = messages.splice(index, 1);
      return early === undefined ? [] : [...messages, early];
    },
    found: 'events come in order when they first come',
  },
  {
    what: 'an event that is published otherwise than it was decided',
    spoil: (messages) =>
      messages.map((each, index) => (index === 2 ? { ...each, body: '{}' } : each)),
    found: 'what is published is what the log has',
  },
  {
    what: 'an event that nobody decided',
    spoil: (messages) => [...messages, { ...(messages[0] as Streamed), id: 'invented' }],
    found: 'what is published is what the log has',
  },
  {
    what: 'a secret in what was published',
    spoil: (messages) =>
      messages.map((each, index) => (index === 2 ? { ...each, body: newApiKey() } : each)),
    found: 'no secret is stored or published',
  },
];
