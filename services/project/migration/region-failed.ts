import { reasonOf } from '@silo/errors/from-status.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { askRegion, type RegionClient, type Regions } from '@silo/service/regions.ts';

/** The other region did not answer or refused. Not thrown for failures in this region. */
export class RegionFailed extends Error {
  override readonly name = 'RegionFailed';

  constructor(cause: unknown) {
    super(whyOf(cause), { cause });
  }
}

/** Calls another region. Rejects with RegionFailed, whose causes are those of `askRegion`. */
export async function callRegion<T>(
  regions: Regions,
  region: string,
  question: (client: RegionClient) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  try {
    return await askRegion(regions, region, question);
  } catch (error) {
    signal.throwIfAborted();
    throw new RegionFailed(error);
  }
}

/** Yields what another region streams. Rejects with RegionFailed if the stream fails. */
export async function* receivedFrom<T>(
  stream: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  try {
    yield* stream;
  } catch (error) {
    signal.throwIfAborted();
    throw new RegionFailed(error);
  }
}

/** The cause of a failed call to another region; every other error unchanged. */
export function causeOf(error: unknown): unknown {
  return error instanceof RegionFailed ? error.cause : error;
}

/** Why something is postponed, for people: which region has failed, and how. */
export function whyPutOff(
  error: unknown,
  { here, there }: { here: string; there: string },
): string {
  if (error instanceof RegionFailed) return `The region ${there} ${error.message}. ${again}`;
  const reason = error instanceof SiloError ? ` with ${error.reasonName}` : '';
  return `The region ${here} failed${reason}: its log says more. ${again}`;
}

const again = 'Silo tries again.';
const silent: readonly (string | undefined)[] = [undefined, 'DEPENDENCY_UNAVAILABLE', 'DRAINING'];

/** What the other region did, for people; follows the name of the region. */
function whyOf(cause: unknown): string {
  const reason = reasonOf(cause);
  return silent.includes(reason) ? 'did not answer' : `refused with ${reason}`;
}
