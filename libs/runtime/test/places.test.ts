import test from 'ava';
import { createPlaces } from '../places.ts';

test('an owner may hold a limited number of places, whatever others hold', (t) => {
  const places = createPlaces({ ofOwner: 2 });
  const [first] = [places.take('ada'), places.take('ada')];
  t.throws(() => places.take('ada'), { instanceOf: RangeError });
  t.notThrows(() => places.take('eve'));
  first[Symbol.dispose]();
  first[Symbol.dispose](); // disposing twice frees no other place
  places.take('ada');
  t.throws(() => places.take('ada'), { instanceOf: RangeError });
});
