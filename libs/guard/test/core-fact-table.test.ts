import test from 'ava';
import { FactTable } from '../core/fact-table.ts';

test('a table never exceeds its maximum, and evicts facts that were not used', (t) => {
  const table = new FactTable<string>(3);
  for (const id of ['a', 'b', 'c']) table.set(id, id, `fact ${id}`);
  table.get('a');
  table.get('c');
  table.set('d', 'd', 'fact d');
  t.is(table.size, 3);
  t.is(table.get('b'), undefined);
  t.is(table.get('a')?.value, 'fact a');
  t.is(table.get('d')?.value, 'fact d');
});

test('eviction ends even if every fact was used', (t) => {
  const table = new FactTable<string>(2);
  for (let i = 0; i < 100; i++) {
    table.set(`${i}`, `${i}`, 'fact');
    table.get(`${i}`);
  }
  t.is(table.size, 2);
});

test('ending a name ends all facts of that name and no other', (t) => {
  const table = new FactTable<string>(10);
  table.set('secret 1', 'key_1', 'first');
  table.set('secret 2', 'key_1', 'second');
  table.set('secret 3', 'key_2', 'third');
  table.set('secret 4', 'key_1', 'fourth');
  table.delete('secret 2');
  table.end('key_1');
  t.deepEqual(
    ['secret 1', 'secret 2', 'secret 3', 'secret 4'].map((id) => table.get(id)?.value),
    [undefined, undefined, 'third', undefined],
  );
  t.is(table.size, 1);
});

test('a fact that is set again under another name is ended only by that name', (t) => {
  const table = new FactTable<string>(10);
  table.set('secret', 'fingerprint', undefined);
  table.set('secret', 'key_1', 'known');
  table.end('fingerprint');
  t.is(table.get('secret')?.value, 'known');
  table.end('key_1');
  t.is(table.get('secret'), undefined);
});

test('a table of large facts holds 1 MiB at least, 640 bytes a fact, and evicts what was not looked at', (t) => {
  const large = { names: Array.from({ length: 100 }, (_, index) => `${index}`.padEnd(300)) };
  for (const [max, held] of [
    [10, 10],
    [1_000, 31],
    [10_000, 190],
  ] as const) {
    const table = new FactTable<typeof large>(max);
    for (let index = 0; index < 1_000; index++) {
      table.set(`${index}`, `${index}`, large);
      t.is(table.get('0')?.value, large);
    }
    t.true(Math.abs(table.size - held) <= 0.1 * held, `${table.size} facts of ${max}`);
    for (let index = 0; index < 1_000; index += 2) table.delete(`${index}`);
    for (let index = 1; index < 1_000; index += 2) table.end(`${index}`);
    t.is(table.size, 0);
    for (let index = 0; index < 10; index++) table.set(`${index}`, `${index}`, large);
    t.is(table.size, 10, 'what is gone takes no place');
  }
});
