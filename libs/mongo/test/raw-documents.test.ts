import test from 'ava';
import { BSON, Double } from 'mongodb';
import { rawDocuments } from '../raw-documents.ts';
import { testDatabase } from './support.ts';

test('documents are stored as the given bytes', async (t) => {
  const { db } = await (await testDatabase(t)).connect();
  const documents = [
    new Map<string, unknown>([
      ['_id', 1],
      ['b', new Double(2)],
      ['10', '\u0000é'],
      ['2', new Map(Object.entries({ a: 1, $id: 2, $ref: 'c' }))],
    ]),
    { _id: 2 },
  ].map((document) => BSON.serialize(document));
  const { n } = await db.command({ insert: 'a', documents: rawDocuments('documents', documents) });
  t.is(n, 2);
  const stored = await db.collection('a').find<Uint8Array>({}, { raw: true }).toArray();
  t.deepEqual(stored.map(hex), documents.map(hex));
});

test('bytes that are not a document are refused, and the connection stays usable', async (t) => {
  const { db } = await (await testDatabase(t)).connect();
  const damaged = BSON.serialize({ _id: 1, a: 'text' });
  damaged[4] = 0x7e; // a type that does not exist
  const refused = db.command({ insert: 'a', documents: rawDocuments('documents', [damaged]) });
  await t.throwsAsync(refused);
  t.is(await db.collection('a').countDocuments(), 0);
});

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
