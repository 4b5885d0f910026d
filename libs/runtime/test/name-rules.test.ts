import test from 'ava';
import { readPersonText, type TextKind } from '../name-rules.ts';

test('a name is stored in NFC, without white space around it', (t) => {
  const cases: [given: string, stored: string][] = [
    ['Acme', 'Acme'],
    ['  Acme  Inc. \u00a0', 'Acme  Inc.'],
    ['Cafe\u0301', 'Caf\u00e9'],
    ['\ufeffAcme', 'Acme'],
    ['שלום', 'שלום'],
    ['ن\u200cا', 'ن\u200cا'],
    ['👩\u200d💻', '👩\u200d💻'],
    [
      '🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}',
      '🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}',
    ],
    ['❤\ufe0f', '❤\ufe0f'],
    ['\u0600١', '\u0600١'],
    ['$where', '$where'],
    ['-', '-'],
  ];
  for (const [given, stored] of cases) {
    t.deepEqual(readPersonText(given, 'name'), { text: stored }, JSON.stringify(given));
  }
});

test('a name with control, bidirectional or invisible format characters is rejected', (t) => {
  const characters = [
    ...['\0', '\t', '\n', '\r', '\u001b', '\u007f', '\u0085', '\u2028', '\u2029'],
    ...['\u202a', '\u202b', '\u202c', '\u202d', '\u202e', '\u2066', '\u2067', '\u2068', '\u2069'],
    ...[
      '\u200e',
      '\u200f',
      '\u061c',
      '\u00ad',
      '\u200b',
      '\u2060',
      '\ufeff',
      '\u{e0001}',
      '\u{e0041}',
    ],
  ];
  for (const character of characters) {
    const { problem } = readPersonText(`Ac${character}me`, 'name');
    const point = character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0');
    t.is(problem, `must have no control or invisible format character, such as U+${point}`);
  }
});

test('a name must have a visible character', (t) => {
  for (const given of ['', ' ', '\u00a0', '\u200d', '\u3164', '\u2800', '\u0301', '\ufe0f']) {
    t.deepEqual(
      readPersonText(given, 'name'),
      { problem: 'must have a visible character' },
      JSON.stringify(given),
    );
  }
});

test('only text of several lines may have line feeds', (t) => {
  const address = ' 1 Example Street\r\nBerlin\n';
  t.deepEqual(readPersonText(address, 'lines'), { text: '1 Example Street\nBerlin' });
  t.truthy(readPersonText(address, 'name').problem);
  t.truthy(readPersonText('a\tb', 'lines').problem);
});

test('reading a name twice gives the same result', (t) => {
  const texts = [' Cafe\u0301 ', 'a\r\nb', '\u1100\u1161', 'A\u030a\u0323'];
  for (const kind of ['name', 'lines'] satisfies TextKind[]) {
    for (const given of texts) {
      const { text } = readPersonText(given, kind);
      if (text !== undefined) t.is(readPersonText(text, kind).text, text);
    }
  }
});
