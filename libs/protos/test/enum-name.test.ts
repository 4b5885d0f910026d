import test from 'ava';
import { bareName, enumName } from '../enum-name.ts';
import { Level } from '../gen/silo/common/v1/level.ts';

test('enumName accepts a number, a name or an absent value', (t) => {
  t.is(enumName(Level, Level.LEVEL_ADMIN), 'LEVEL_ADMIN');
  t.is(enumName(Level, 'LEVEL_OF_TOMORROW'), 'LEVEL_OF_TOMORROW');
  t.is(enumName(Level, undefined), 'LEVEL_UNSPECIFIED');
  t.is(bareName(Level, Level.LEVEL_ADMIN), 'ADMIN');
  t.is(bareName(Level, undefined), 'UNSPECIFIED');
});

test('an unknown enum number is shown', (t) => {
  t.is(enumName(Level, 7), 'UNKNOWN (7)');
  t.is(bareName(Level, 7), 'UNKNOWN (7)');
});
