import test from 'ava';
import { FactTable } from '../core/fact-table.ts';

test('a table never holds more than its maximum, and evicts what was not looked at', (t) => {
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

test('eviction ends where everything was looked at', (t) => {
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

test('a fact that is set again under another name is ended by that name alone', (t) => {
  const table = new FactTable<string>(10);
  table.set('secret', 'fingerprint', undefined);
  table.set('secret', 'key_1', 'known');
  table.end('fingerprint');
  t.is(table.get('secret')?.value, 'known');
  table.end('key_1');
  t.is(table.get('secret'), undefined);
});
