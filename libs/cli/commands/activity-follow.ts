import { ActivityEntry } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { toJson } from '@silo/protos/json.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import type { Cli } from '../cli.ts';
import { activityLine } from '../render/activity.ts';
import { type ActivityLog, namesIn, readActivity } from './activity-log.ts';

const everyMs = 2_000;
// One round shows at most this number of entries.
const newMax = 500;
// An entry is still shown if its own time is at most this far in the past.
const lateMs = 600_000;
// Larger than what one round reads, so that entries that a round returns again are still
// recognized.
const seenMax = 10 * newMax;

/** Shows the newest entries, then new ones until Ctrl-C: each once, oldest first. */
export async function followActivity(cli: Cli, log: ActivityLog, limit: number): Promise<never> {
  const seen = new Set<string>();
  const takeNew = async (since: Date | undefined) => {
    const { entries } = await readActivity(cli, { ...log, since }, newMax);
    const fresh = entries.filter(({ id }) => !seen.has(id));
    for (const { id } of entries.toReversed()) {
      seen.delete(id);
      seen.add(id);
    }
    for (const id of seen) {
      if (seen.size <= seenMax) break;
      seen.delete(id);
    }
    return fresh;
  };
  await show(cli, log, (await takeNew(log.since)).slice(0, limit));
  for (;;) {
    await systemSleep(everyMs, cli.signal);
    const recentMs = Math.max(Date.now() - lateMs, log.since?.getTime() ?? 0);
    const fresh = await takeNew(new Date(recentMs));
    await show(cli, log, fresh);
    if (fresh.length === newMax) cli.note('Some entries are left out.');
  }
}

async function show(cli: Cli, log: ActivityLog, newestFirst: readonly ActivityEntry[]) {
  const entries = newestFirst.toReversed();
  if (cli.globals().json) {
    const { stdout } = cli.terminal;
    for (const each of entries) stdout.write(`${JSON.stringify(toJson(ActivityEntry, each))}\n`);
    return;
  }
  const nameOf = await namesIn(cli, log, entries);
  cli.show(...entries.map((entry) => activityLine(entry, nameOf)));
}
