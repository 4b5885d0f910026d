/** Raised with every change of what `fold` answers: what was stored by an older one is folded again. */
export const foldVersion = 2;

/**
 * Text as it is searched and compared: without case and whatever its normal form, so that
 * `Cafe\u0301` finds `Café`, `istanbul` finds `İstanbul` and `STRASSE` finds `Straße`. Accents stay.
 * Full case folding by way of upper case (Unicode 5.18), with both Turkish i as one. Idempotent.
 */
export function fold(text: string): string {
  const plain = text.normalize('NFD').replaceAll(ignorable, '');
  // Lower case first: there is a capital ẞ, which upper case alone would leave.
  const lower = lowerCase(lowerCase(plain).toUpperCase());
  return lower.normalize('NFD').replaceAll(dottedI, 'i').normalize('NFC');
}

/** Character by character: in a whole word the last sigma would get another form. */
function lowerCase(text: string): string {
  return Array.from(text, (character) => character.toLowerCase()).join('');
}

/** What Unicode draws as nothing: joiners, variation selectors, marks of direction. */
const ignorable = /\p{Default_Ignorable_Code_Point}/gu;
/** `i` with the dot of `İ` above its own. */
const dottedI = /i\u0307+/g;
