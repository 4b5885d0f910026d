/**
 * Increase it with every change to `fold`: values stored with an older version are folded again.
 */
export const foldVersion = 2;

/**
 * Text for search and comparison, without case and independent of the normal form, so that
 * `Cafe\u0301` finds `Café`, `istanbul` finds `İstanbul` and `STRASSE` finds `Straße`. Accents
 * stay. Full case folding by way of upper case (Unicode 5.18), with both Turkish i as one.
 * Idempotent.
 */
export function fold(text: string): string {
  const plain = text.normalize('NFD').replaceAll(ignorable, '');
  // Lower case first: upper case alone would not fold a capital ẞ.
  const lower = lowerCase(lowerCase(plain).toUpperCase());
  return lower.normalize('NFD').replaceAll(dottedI, 'i').normalize('NFC');
}

/** Folded character by character, because the final sigma of a whole word has another form. */
function lowerCase(text: string): string {
  return Array.from(text, (character) => character.toLowerCase()).join('');
}

/** Characters that Unicode does not draw: joiners, variation selectors, direction marks. */
const ignorable = /\p{Default_Ignorable_Code_Point}/gu;
/** `i` with the dot of `İ` above its own. */
const dottedI = /i\u0307+/g;
