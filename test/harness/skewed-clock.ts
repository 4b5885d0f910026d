/**
 * Makes the wall clock of a forked process wrong by `skewMs` in its options (`startForked`). Import
 * it first, so that no module reads the right time.
 */
const { skewMs }: { skewMs: number } = JSON.parse(process.argv[2] ?? '');
const RightDate = Date;

class SkewedDate extends RightDate {
  constructor(...args: [] | [number | string | Date]) {
    if (args.length === 0) super(SkewedDate.now());
    else super(args[0]);
  }

  static override now(): number {
    return RightDate.now() + skewMs;
  }
}

globalThis.Date = SkewedDate as DateConstructor;
