/** A command line of bash up to its cursor, as `silo complete` needs it. */
type BashLine = {
  /** The words after the command, without quotes; the last is the word to complete. */
  words: string[];
  /** The quote that is open at the cursor. */
  quote: '' | '"' | "'";
  /** The beginning of the last word, which bash keeps when it inserts a completion. */
  kept: string;
};

/** Inside double quotes, a backslash quotes only these characters. */
const quotedInside = '$`"\\';

/**
 * Reads the line that bash passes in COMP_LINE, without expanding anything in it. `breaks` is
 * COMP_WORDBREAKS: bash replaces only the text after the last unquoted one of these characters.
 * Returns undefined if a quote ends in the last word or a backslash ends the line: then it is
 * unclear what bash would replace.
 */
export function readBashLine(line: string, breaks: string): BashLine | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote: BashLine['quote'] = '';
  let kept = '';
  let isMixed = false;
  const characters = [...line][Symbol.iterator]();
  for (const character of characters) {
    if (character === '\\' && quote !== "'") {
      const { value: next } = characters.next();
      if (next === undefined) return undefined;
      const isQuoted = quote === '' || quotedInside.includes(next);
      word = `${word ?? ''}${isQuoted ? '' : character}${next}`;
    } else if (quote !== '') {
      if (character !== quote) word += character;
      else {
        quote = '';
        isMixed = true;
      }
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
      kept = word;
    } else if (' \t\n'.includes(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      kept = '';
      isMixed = false;
    } else {
      const before = word ?? '';
      word = before + character;
      // Readline also replaces the "@" itself.
      if (breaks.includes(character)) kept = character === '@' ? before : word;
    }
  }
  if (isMixed) return undefined;
  return { words: [...words.slice(1), word ?? ''], quote, kept };
}

/** Characters that bash does not take literally outside of quotes. */
const notPlain = /[^\w.@%+,:=/\u0080-\u{10ffff}-]/gu;

/**
 * The text that bash inserts in place of the text after `kept`, so that the word becomes this value
 * and nothing in it is expanded. Undefined if that is impossible: between double quotes, `!`
 * recalls a command of the history.
 */
export function bashInsertion({ quote, kept }: BashLine, value: string): string | undefined {
  if (!value.startsWith(kept)) return undefined;
  const rest = value.slice(kept.length);
  if (quote === '') return rest.replaceAll(notPlain, '\\$&');
  if (quote === '"' && rest.includes('!')) return undefined;
  const text = quote === "'" ? rest.replaceAll("'", "'\\''") : rest.replaceAll(/[$`"\\]/g, '\\$&');
  // Bash closes the quote, unless the text seems to end in it.
  return text.endsWith(quote) ? text + quote : text;
}
