/** Returns the earlier of a key's expiry and its secret's; undefined: it never expires. */
export function secretExpiry(keyExpiry?: Date, overlapExpiry?: Date): Date | undefined {
  if (keyExpiry === undefined || overlapExpiry === undefined) return keyExpiry ?? overlapExpiry;
  return keyExpiry < overlapExpiry ? keyExpiry : overlapExpiry;
}

/**
 * Returns the secrets of a key after a roll, and those that the roll ends. The new secret is
 * current. The one before it stays valid for `overlapMs`. Any older one ends.
 */
export function rollSecrets<Secret extends { expireTime?: Date | undefined }>(
  secrets: readonly [Secret, ...Secret[]],
  fresh: Secret,
  { overlapMs, now }: { overlapMs: number; now: Date },
): { secrets: [Secret, ...Secret[]]; killed: Secret[] } {
  const [current, ...older] = secrets;
  const working = older.filter(({ expireTime }) => expireTime !== undefined && expireTime > now);
  if (overlapMs <= 0) return { secrets: [fresh], killed: [current, ...working] };
  const overlapped = { ...current, expireTime: new Date(now.getTime() + overlapMs) };
  return { secrets: [fresh, overlapped], killed: working };
}
