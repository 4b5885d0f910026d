import type { Differences } from './purge-source.ts';

/**
 * Why unmatched events of an earlier stay make a migration fail, for people; undefined if there are
 * none.
 */
export function whyUnmatched(
  { missing, changed }: Differences,
  { here, there }: { here: string; there: string },
): string | undefined {
  const found = [
    missing > 0 &&
      `${missing} event(s) are only in ${here}, and no deletion or retention in ${there} has removed them`,
    changed > 0 && `${changed} event(s) are different in ${there}`,
  ].filter((each) => each !== false);
  if (found.length === 0) return undefined;
  return `${found.join('; ')}. They are kept. Put them back in ${there} and retry, or discard them with the retry.`;
}

/**
 * Why an event that cannot be decoded makes a migration fail, for people; `damage` names the event.
 */
export function whyDamaged(
  damage: string,
  { here, there }: { here: string; there: string },
): string {
  return `${damage}. It is kept. Repair or remove its document in ${here}, or in ${there} if it is damaged there, and retry. If only its properties are damaged, a retry that discards unmatched events removes it from ${here}.`;
}
