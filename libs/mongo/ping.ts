import { race } from '@silo/runtime/deadline.ts';
import type { Db } from 'mongodb';

/**
 * Whether MongoDB answers within that time. By a timer: `timeoutMS` has no effect in the driver
 * 7.9.0, and a server that stands still ends nothing by `maxTimeMS`.
 */
export async function answersWithin(db: Db, withinMs: number): Promise<boolean> {
  try {
    await race(db.command({ ping: 1 }), AbortSignal.timeout(withinMs));
    return true;
  } catch {
    return false;
  }
}
