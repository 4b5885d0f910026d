/** Text that a person enters: one line, or several lines such as an address. */
export type TextKind = 'name' | 'lines';

/** The text as it is stored, or the problem with it. */
export type ReadText =
  | { text: string; problem?: undefined }
  | { text?: undefined; problem: string };

/**
 * Reads text that a person enters, such as a name: in NFC, without surrounding white space. It must
 * have a visible character. Control characters, direction marks and other invisible format
 * characters are rejected, because two texts that look alike could differ; the joiners that scripts
 * and emoji need are allowed. `lines` allows line feeds.
 */
export function readPersonText(given: string, kind: TextKind): ReadText {
  const unified = kind === 'lines' ? given.replaceAll('\r\n', '\n') : given;
  const text = unified.normalize('NFC').trim();
  const checked = (kind === 'lines' ? text.replaceAll('\n', ' ') : text).replaceAll(flag, '');
  const [refused] = refusedCharacter.exec(checked) ?? [];
  if (refused !== undefined) {
    const point = refused.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0');
    return { problem: `must have no control or invisible format character, such as U+${point}` };
  }
  if (!visible.test(text.replaceAll(blank, ''))) {
    return { problem: 'must have a visible character' };
  }
  return { text };
}

/** The flag of a region, such as Scotland's: the only tag characters with a meaning. */
const flag = /\u{1f3f4}[\u{e0020}-\u{e007e}]+\u{e007f}/gu;

/** Characters of category Cf that are visible: signs over Arabic, Syriac and Kaithi numbers. */
const drawn = '\\u0600-\\u0605\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u{110bd}\\u{110cd}';
const joiners = '\\u200c\\u200d';
const refusedCharacter = new RegExp(`(?![${joiners}${drawn}])[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]`, 'u');

const visible = /[\p{L}\p{N}\p{P}\p{S}\p{Co}]/u;
/** Invisible letters and signs: the Hangul fillers, the empty Braille pattern. */
const blank = /[\p{Default_Ignorable_Code_Point}\u2800]/gu;
