import test from 'ava';
import widthOf from 'fast-string-width';
import { type Block, toText } from '../text.ts';

const plain = (...blocks: Block[]) => toText(blocks, { colour: false });
const colourful = (...blocks: Block[]) => toText(blocks, { colour: true });

test('the columns of a table are as wide as their contents, and lines have no trailing spaces', (t) => {
  const table = {
    head: ['name', 'id'],
    rows: [
      ['Web', 'prj_1'],
      ['A longer name', ''],
    ],
  };
  t.is(plain(table), 'NAME           ID\nWeb            prj_1\nA longer name\n');
});

test('wide and combining characters count as the columns that a terminal gives them', (t) => {
  const table = {
    head: ['a', 'b'],
    rows: [
      ['日本', 'x'],
      ['e\u0301', 'y'],
    ],
  };
  t.is(plain(table), 'A     B\n日本  x\ne\u0301     y\n');
});

test('a table without rows is not shown', (t) => {
  t.is(plain({ head: ['name'], rows: [] }), '');
});

test('a line is one piece or several; styles show only in colour', (t) => {
  const line: Block = [{ text: 'error:', style: 'bad' }, ' no'];
  t.is(plain(line, 'next'), 'error: no\nnext\n');
  t.is(colourful(line), '\u001b[31merror:\u001b[39m no\n');
});

for (const [what, text] of [
  ['an escape sequence', 'a\u001b[31mb'],
  ['a line break', 'a\nb'],
  ['a carriage return', 'a\rb'],
  ['a C1 control character', 'a\u009bb'],
  ['a change of the direction of writing', 'a\u202eb'],
] as const) {
  test(`${what} in a value is replaced at every position, in colour too`, (t) => {
    const table = { head: ['name'], rows: [[text], [{ text, style: 'dim' as const }]] };
    for (const shown of [plain(text, table), colourful(text, table)]) {
      const lines = shown.split('\n');
      t.is(lines.length, 5, 'two lines of text, head and two rows');
      t.false(shown.includes(text));
      t.is(lines[0]?.at(0), 'a');
      t.is(lines[0]?.at(1), '\ufffd');
    }
  });
}

const long = 'one two three four five six seven eight nine ten eleven twelve';

for (const columns of [80, 100, 160]) {
  test(`a table fits into ${columns} columns without losing text`, (t) => {
    const cells = [long, '日本'.repeat(60), 'short', 'x'.repeat(70), long];
    const text = toText([{ head: cells.map((_, at) => `c${at}`), rows: [cells] }], {
      colour: false,
      columns,
    });
    for (const line of text.split('\n')) t.true(widthOf(line) <= columns, line);
    const letters = (shown: string) => shown.replace(/\s/g, '').split('').sort().join('');
    t.is(letters(text), letters(['C0C1C2C3C4', ...cells].join('')));
  });
}

test('only the widest columns are narrowed', (t) => {
  const text = toText([{ head: ['a', 'b'], rows: [['short', long]] }], {
    colour: false,
    columns: 40,
  });
  t.is(
    text,
    `A      B
short  one two three four five six seven
       eight nine ten eleven twelve
`,
  );
});

test('an id is shown beside the name only if ids are requested', (t) => {
  const line: Block = ['in ', { text: 'Web', id: 'prj_1' }, ', ', { text: 'prj_2', id: 'prj_2' }];
  t.is(toText([line], { colour: false }), 'in Web, prj_2\n');
  t.is(toText([line], { colour: false, ids: true }), 'in Web (prj_1), prj_2\n');
});
