/** The page for those who write a guard in another language says what our own does. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventMessages } from '@silo/log/decode-event.ts';
import test from 'ava';
import { endedBy } from '../core/event-effects.ts';
import { isSource } from '../wire.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const page = await readFile(join(root, 'docs', 'guard-protocol.md'), 'utf8');

/** A body that has every field which names a fact. */
const body = {
  ...{ accountId: 'a', organizationId: 'o', projectId: 'p', keyId: 'k' },
  ...{ fingerprint: 'f', newFingerprint: 'n' },
};

/** The rows of the table of events: `<source>.<event>`, and what the page says that they end. */
const rows = [
  ...page.matchAll(/^\| (org|project|token) \| (`[a-z_`, ]*`) \| ([^|]*) \|$/gm),
].flatMap(([, source = '', events = '', ends = '']) =>
  [...events.matchAll(/`([a-z_]+)`/g)].map(([, event = '']) => ({ source, event, ends })),
);

test('the table of events holds every event of the three sources once', (t) => {
  const listed = rows.map(({ source, event }) => `${source}.${event}`);
  const emitted = Object.keys(eventMessages).filter((name) => isSource(name.split('.')[0] ?? ''));
  t.deepEqual(listed.sort(), emitted.sort());
});

test('the table of events names the facts that each ends', (t) => {
  for (const { source, event, ends } of rows) {
    const ended = isSource(source) ? endedBy(source, event, body) : 'everything';
    if (ended === 'everything') return t.fail(`${event} is not understood`);
    t.is(ends.split(' ')[0], ended[0]?.kind ?? 'nothing', event);
    const fields = ends.match(/`(\w+)`/g)?.length ?? 0;
    const isPair = ended[0]?.kind === 'membership';
    t.is(ended.length, isPair ? fields / 2 : fields, event);
  }
});
