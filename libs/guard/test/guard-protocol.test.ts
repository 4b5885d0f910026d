/** Checks that the page on guards in other languages describes what this guard does. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventMessages, isEventName } from '@silo/log/decode-event.ts';
import { eventType } from '@silo/log/event-types.ts';
import test from 'ava';
import { endedBy } from '../core/event-effects.ts';
import { isSource } from '../wire.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const page = await readFile(join(root, 'docs', 'guard-protocol.md'), 'utf8');

/** A body with every field that names a fact. */
const body = JSON.stringify({
  ...{ accountId: 'a', organizationId: 'o', projectId: 'p', keyId: 'k' },
  ...{ fingerprint: 'f', newFingerprint: 'n' },
});

/**
 * The rows of the table of events: `<source>.<event>`, and the facts that the page says it ends.
 */
const rows = [
  ...page.matchAll(/^\| (org|project|token) \| (`[a-z_`, ]*`) \| ([^|]*) \|$/gm),
].flatMap(([, source = '', events = '', ends = '']) =>
  [...events.matchAll(/`([a-z_]+)`/g)].map(([, event = '']) => ({ source, event, ends })),
);

test('the table of events has every event of the three sources once', (t) => {
  const listed = rows.map(({ source, event }) => `${source}.${event}`);
  const emitted = Object.keys(eventMessages).filter((name) => isSource(name.split('.')[0] ?? ''));
  t.deepEqual(listed.sort(), emitted.sort());
});

test('the table of events names the facts that each event ends', (t) => {
  for (const { source, event, ends } of rows) {
    const name = `${source}.${event}`;
    if (!isSource(source) || !isEventName(name)) return t.fail(`${name} is unknown`);
    const ended = endedBy(source, eventType(source, event), body);
    if (ended === 'everything') return t.fail(`${name} is not understood`);
    t.is(ends.split(' ')[0], ended[0]?.kind ?? 'nothing', name);
    const empty = eventMessages[name].decode(new Uint8Array());
    const fields = [...ends.matchAll(/`(\w+)`/g)].filter(([, field = '']) => field in empty).length;
    const isPair = ended[0]?.kind === 'membership';
    t.is(ended.length, isPair ? fields / 2 : fields, name);
  }
});
