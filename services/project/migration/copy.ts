import { errors } from '@silo/errors/errors.ts';
import { reasonOf } from '@silo/errors/from-status.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { race } from '@silo/runtime/deadline.ts';
import { placeMessage, rangeMessage } from '../peer-messages.ts';
import { firstPlace, placeText } from '../rules/events/event-range.ts';
import { CopyDiffers } from '../store/copied-events.ts';
import type { Checkpoint } from '../store/copy-checkpoint.ts';
import {
  createMigrationComparison,
  type MigrationComparison,
} from '../store/migration-comparison.ts';
import { createMigrationCopyStore, type MigrationCopyStore } from '../store/migration-copy.ts';
import type { CopiedRange } from '../store/migration-ranges.ts';
import { bytesReadFor } from '../store/sent-events.ts';
import type { Copy, CopyOptions, CopyProgress, OpenCopy } from './copy-types.ts';
import { decodeRange, decodeSteps, type Step } from './decode-steps.ts';
import { goOn } from './interruptions.ts';
import { Pace } from './pace.ts';
import { Rate } from './rate.ts';
import { causeOf, RegionFailed, receivedFrom } from './region-failed.ts';
import { SpareTime } from './spare-time.ts';

const comparedAtOnce = 8;
const comparedEveryMs = 1_000;
/** Maximum number of repairs of a range: copying a range again and again does not help. */
const repairsMax = 5;
const repairWithinMs = 60_000;
/** Maximum age of a stored resume token while nothing changes. */
const tokenAgeMaxMs = 10_000;
/** If a range was equal or repaired before, a difference is damage: any event may be replaced. */
const anything = async () => {};

export const openCopy: OpenCopy = async (options, signal) => {
  const copies = createMigrationCopyStore(options.db);
  const comparison = createMigrationComparison(options.db);
  const checkpoint = await copies.open(options.migration, options.fence, signal);
  const verified = await comparison.countVerified(checkpoint, signal);
  return new EventCopy(options, { copies, comparison, checkpoint, verified });
};

type Begun = {
  copies: MigrationCopyStore;
  comparison: MigrationComparison;
  checkpoint: Checkpoint;
  verified: number;
};

class EventCopy implements Copy {
  readonly #options: CopyOptions;
  readonly #copies: MigrationCopyStore;
  readonly #comparison: MigrationComparison;
  readonly #rate: Pick<Rate, 'set' | 'spend'>;
  readonly #pace: { events: Pace; bytes: Pace };
  readonly #spare: Pick<SpareTime, 'noteUse' | 'pauseAfter'>;
  #checkpoint: Checkpoint;
  #rangesVerified: number;
  /** Whether the last comparison after the scan found no range left to compare. */
  #isVerified = false;
  /** Number of times that all ranges are compared. */
  #comparisons: number;
  /** Number of ranges that were equal, copied again or split. */
  #compared = 0;
  /** All ranges were equal before: a difference found now is damage. */
  #comparesAgain: boolean;
  #lag: { ms: number; atMs: number } | undefined;
  #tokenMs = Number.NEGATIVE_INFINITY;
  #failure: { error: unknown } | undefined;
  #changed = Promise.withResolvers<void>();
  #scanned = Promise.withResolvers<void>();
  #isDoubtful = false;
  #hasGoneOn = false;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: CopyOptions, { copies, comparison, checkpoint, verified }: Begun) {
    this.#options = options;
    this.#copies = copies;
    this.#comparison = comparison;
    this.#checkpoint = checkpoint;
    this.#rangesVerified = verified;
    this.#comparesAgain = checkpoint.comparesAgain ?? false;
    this.#comparisons = this.#comparesAgain ? 2 : 1;
    this.#rate = options.rate ?? new Rate(options.clock);
    this.#pace = {
      events: new Pace(options.clock, checkpoint.eventsCopied),
      bytes: new Pace(options.clock, checkpoint.bytesCopied),
    };
    this.#spare = options.spare ?? new SpareTime(options.clock);
  }

  async run(signal: AbortSignal): Promise<never> {
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    const forever = (name: string, work: () => Promise<void>, progress: () => number) =>
      goOn(work, {
        ...{ signal: until, progress },
        ...(this.#options.sleep && { sleep: this.#options.sleep }),
        onInterrupted: (err, failures) =>
          this.#log.warn({ loop: name, failures, err }, 'a copy of events was interrupted'),
      });
    const steps = () => this.#checkpoint.steps;
    const loops = [
      forever('pull', () => this.#pull(until), steps),
      // Changes that are applied meanwhile are not progress of this loop.
      forever(
        'compare',
        () => this.#compare(until),
        () => this.#compared,
      ),
    ];
    try {
      return await Promise.race(loops);
    } catch (error) {
      this.#failure = { error };
      this.#notify();
      throw error;
    } finally {
      over.abort();
      await Promise.allSettled(loops);
    }
  }

  async untilScanned(signal: AbortSignal): Promise<void> {
    await this.#until(() => this.#checkpoint.isScanned, signal);
  }

  async verifyAll(signal: AbortSignal): Promise<void> {
    await this.#until(() => this.#isVerified, signal);
  }

  async verifyAgain(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.verifyAll(signal);
      // A scan that was restarted since is compared for the first time.
      if (!this.#isVerified) continue;
      if (this.#checkpoint.comparesAgain) return;
      await this.#beginAgain(signal);
    }
  }

  async #beginAgain(signal: AbortSignal): Promise<void> {
    const { scan } = this.#checkpoint;
    this.#comparesAgain = true;
    await this.#comparison.unverify(this.#checkpoint, signal);
    this.#comparisons++;
    this.#isVerified = false;
    this.#scanned.resolve();
    // Ranges of a newer scan are compared for the first time anyway.
    await this.#write(async () => {
      const isSame = this.#checkpoint.scan === scan;
      return isSame ? await this.#copies.compareAgain(this.#checkpoint, signal) : this.#checkpoint;
    }, signal);
  }

  async untilFenced(attempt: number, signal: AbortSignal): Promise<void> {
    const isFenced = () => this.#isWhole && this.#checkpoint.fencedAttempt >= attempt;
    await this.#until(isFenced, signal);
  }

  async untilCaughtUp(lagMs: number, signal: AbortSignal): Promise<void> {
    await this.#until(() => this.#isWhole && this.#lagMs <= lagMs, signal);
  }

  progress(): CopyProgress {
    const { eventsCopied, bytesCopied, changesApplied, rangesRepaired, isScanned } =
      this.#checkpoint;
    return {
      ...{ eventsCopied, bytesCopied, changesApplied, rangesRepaired, isScanned },
      rangesVerified: this.#rangesVerified,
      lagMs: this.#lagMs,
      eventsPerSecond: this.#pace.events.perSecond(eventsCopied),
      bytesPerSecond: this.#pace.bytes.perSecond(bytesCopied),
    };
  }

  hasGoneOn(): boolean {
    return this.#hasGoneOn;
  }

  setRate(bytesPerSecond: number): void {
    this.#rate.set(bytesPerSecond);
  }

  get #log(): CopyOptions['log'] {
    return this.#options.log;
  }

  get #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }

  /** Scanned and compared: a restarted scan receives digests, so events may be missing. */
  get #isWhole(): boolean {
    return this.#checkpoint.isScanned && this.#isVerified;
  }

  get #lagMs(): number {
    return this.#lag ? this.#lag.ms + this.#nowMs - this.#lag.atMs : Number.POSITIVE_INFINITY;
  }

  /** Pulls from the checkpoint on. Rejects when the stream ends. */
  async #pull(signal: AbortSignal): Promise<void> {
    const copies = this.#copies;
    await this.#write(async () => this.#checkpoint, signal);
    const { migrationId, after, isScanned, resumeToken, digestsOnly } = this.#checkpoint;
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    const request = {
      ...{ migrationId, isScanned, resumeToken, digestsOnly },
      after: placeMessage(after, firstPlace),
    };
    try {
      const { peer, clock } = this.#options;
      const pulled = peer.pullEvents(request, { signal: until, refusals: true });
      for await (const step of decodeSteps(pulled, { clock, signal: until })) {
        const beganMs = this.#nowMs;
        await this.#write(() => this.#apply(step, signal), signal);
        // The next steps have waited since this time.
        this.#lag = { ms: step.lagMs, atMs: step.receivedMs };
        this.#pace.events.note(this.#checkpoint.eventsCopied);
        this.#pace.bytes.note(this.#checkpoint.bytesCopied);
        this.#notify();
        if (step.kind === 'changes' && step.changes.uuids.length > 0) this.#spare.noteUse();
        if (step.kind === 'ranges') await this.#afterRanges(step, beganMs, signal);
      }
    } catch (error) {
      // A later pull has begun, perhaps in another process: then this one must not write any more.
      const reason = reasonOf(causeOf(error));
      if (reason === 'REQUEST_IN_PROGRESS') this.#isDoubtful = true;
      if (reason !== 'LOG_COMPACTED') throw error;
      this.#log.warn({ migrationId }, 'changes at the source were lost: scanning again');
      await this.#write(() => copies.restart(this.#checkpoint, signal), signal);
      return;
    } finally {
      over.abort();
    }
    throw new RegionFailed(errors.dependencyUnavailable('the source of the migration'));
  }

  async #apply(step: Step, signal: AbortSignal): Promise<Checkpoint> {
    const { resumeToken } = step;
    switch (step.kind) {
      case 'ranges':
        this.#isVerified = false;
        return await this.#copies.applyRanges(this.#checkpoint, step.ranges, resumeToken, signal);
      case 'changes': {
        const { uuids } = step.changes;
        const isOld = this.#nowMs - this.#tokenMs > tokenAgeMaxMs;
        if (uuids.length === 0 && !isOld) return this.#checkpoint;
        this.#tokenMs = this.#nowMs;
        if (uuids.length === 0) {
          return await this.#copies.note(this.#checkpoint, { resumeToken }, signal);
        }
        return await this.#copies.applyChanges(this.#checkpoint, step.changes, resumeToken, signal);
      }
      case 'fenced': {
        const noted = { resumeToken, fencedAttempt: step.attempt };
        return await this.#copies.note(this.#checkpoint, noted, signal);
      }
    }
  }

  async #afterRanges(
    { ranges }: Extract<Step, { kind: 'ranges' }>,
    beganMs: number,
    signal: AbortSignal,
  ) {
    this.#hasGoneOn = true;
    this.#scanned.resolve();
    await this.#spare.pauseAfter({ beganMs, lagMs: this.#lagMs }, signal);
    await this.#rate.spend(bytesReadFor(ranges), signal);
  }

  /** Compares copied ranges, during the scan and after it. */
  async #compare(signal: AbortSignal): Promise<void> {
    this.#scanned = Promise.withResolvers();
    const beganMs = this.#nowMs;
    const { isScanned, scan } = this.#checkpoint;
    const comparisons = this.#comparisons;
    const found = await this.#comparison.compareSome(this.#checkpoint, comparedAtOnce, signal);
    const { equal, different, large } = found;
    this.#compared += equal.length;
    if (equal.length > 0) this.#hasGoneOn = true;
    if (comparisons === 1) this.#rangesVerified += equal.length;
    for (const range of different) await this.#repair(range, scan, signal);
    for (const range of large) await this.#split(range, scan, signal);
    if (equal.length + different.length + large.length > 0) {
      // A large range grows while this pauses.
      if (large.length === 0) await this.#spare.pauseAfter({ beganMs }, signal);
      return;
    }
    const isSame = scan === this.#checkpoint.scan && comparisons === this.#comparisons;
    const isVerified = isScanned && isSame;
    if (isVerified !== this.#isVerified) {
      this.#isVerified = isVerified;
      this.#notify();
    }
    await Promise.race([this.#scanned.promise, systemSleep(comparedEveryMs, signal)]);
  }

  /**
   * Splits a large range, or repairs it. Blocks changes meanwhile: under a steady import the range
   * would always have changed before its parts are known.
   */
  async #split(large: CopiedRange, scan: number, signal: AbortSignal): Promise<void> {
    let different: CopiedRange | undefined;
    await this.#write(async () => {
      const found = await this.#comparison.compareLarge(this.#checkpoint, large, signal);
      if (found?.parts) {
        const { range, parts } = found;
        const next = await this.#copies.split(this.#checkpoint, range, parts, signal);
        this.#compared++;
        return next;
      }
      different = found?.range;
      return this.#checkpoint;
    }, signal);
    if (different !== undefined) await this.#repair(different, scan, signal);
  }

  /** Copies a range again. Blocks changes meanwhile: the data read now would undo later changes. */
  async #repair(range: CopiedRange, scan: number, signal: AbortSignal): Promise<void> {
    const { peer, migration } = this.#options;
    const { after, last, repairs } = range;
    const place = { after: placeText(after), last: placeText(last), repairs };
    if (repairs === repairsMax) {
      await this.#comparison.forgiveRepairs(this.#checkpoint, repairsMax, signal);
      throw new CopyDiffers(`the events from ${place.after} to ${place.last} differ again`);
    }
    const isExpected = this.#checkpoint.digestsOnly && repairs === 0 && !this.#comparesAgain;
    this.#log[isExpected ? 'debug' : 'warn'](
      { migrationId: migration.id, ...place },
      'a range of a copy differs from its source, and is copied again',
    );
    const { mayRemove = anything } = isExpected ? this.#options : {};
    // Prevents the commit of an attempt meanwhile.
    this.#isVerified = false;
    let bytes = 0;
    await this.#write(async () => {
      // Restarted meanwhile: now the difference may be expected, and then events may be kept.
      if (this.#checkpoint.scan !== scan) return this.#checkpoint;
      const request = { migrationId: migration.id, range: rangeMessage(range) };
      const options = { signal, refusals: true, deadlineMs: repairWithinMs };
      let left: CopiedRange | undefined = range;
      const sentParts = receivedFrom(peer.readRange(request, options), signal);
      for await (const { part } of sentParts) {
        if (part === undefined || left === undefined) throw new TypeError('a part without a range');
        const sent = await decodeRange(part, range.last);
        bytes += bytesReadFor([sent]);
        const differing = { range: left, isExpected, mayRemove };
        const repaired = await this.#copies.repair(this.#checkpoint, differing, sent, signal);
        this.#checkpoint = repaired.checkpoint;
        this.#compared++;
        if (!repaired.isThin) {
          // It still differs, and is repaired after waiting changes are applied.
          this.#hasGoneOn = true;
          break;
        }
        left = repaired.rest;
      }
      return this.#checkpoint;
    }, signal);
    // After the write, because changes wait for it.
    await this.#rate.spend(bytes, signal);
  }

  /** Serializes the writes of the copy. After a failure, reloads the checkpoint: it may differ. */
  async #write(write: () => Promise<Checkpoint>, signal: AbortSignal): Promise<void> {
    const turn = this.#turn.then(async () => {
      if (this.#isDoubtful) this.#reach(await this.#copies.reload(this.#checkpoint, signal));
      this.#isDoubtful = true;
      this.#reach(await write());
      this.#isDoubtful = false;
    });
    this.#turn = turn.catch(() => {}); // the caller reports the error
    await turn;
  }

  /** The ranges of a restarted scan are compared for the first time. */
  #reach(next: Checkpoint): void {
    if (next.scan !== this.#checkpoint.scan) {
      this.#isVerified = false;
      this.#comparesAgain = false;
    }
    this.#checkpoint = next;
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async #until(isTrue: () => boolean, signal: AbortSignal): Promise<void> {
    while (!isTrue()) {
      if (this.#failure) throw this.#failure.error;
      await race(this.#changed.promise, signal);
    }
  }
}
