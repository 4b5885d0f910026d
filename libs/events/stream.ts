import {
  DiscardPolicy,
  type JetStreamManager,
  NatsError,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from 'nats';

const dayMs = 24 * 60 * 60 * 1000;
const nanosPerMs = 1_000_000;
/** How long the stream keeps messages. */
export const streamKeepsMs = 7 * dayMs;
const duplicateWindowMs = 2 * 60 * 1000;
/** JetStream's error code for a stream that does not exist. */
export const streamNotFound = 10059;
const streamNameInUse = 10058;

export type StreamOptions = {
  /** Such as `SILO`. */
  name: string;
  /** Such as `silo.v1`: the stream takes everything below it. */
  subjectPrefix: string;
};

/**
 * Creates the stream if it does not exist, and sets its configuration. The number of replicas in a
 * NATS cluster stays as the operator set it.
 */
export async function ensureStream(
  manager: JetStreamManager,
  options: StreamOptions,
): Promise<StreamInfo> {
  const config = configOf(options);
  try {
    const info = await manager.streams.info(options.name);
    return driftOf(info.config, options).length === 0
      ? info
      : await manager.streams.update(options.name, config);
  } catch (error) {
    if (!isApiError(error, streamNotFound)) throw error;
  }
  try {
    return await manager.streams.add(config);
  } catch (error) {
    // Another service created it first.
    if (!isApiError(error, streamNameInUse)) throw error;
    return await manager.streams.info(options.name);
  }
}

function configOf({ name, subjectPrefix }: StreamOptions) {
  return {
    name,
    subjects: [`${subjectPrefix}.>`],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    max_age: streamKeepsMs * nanosPerMs,
    duplicate_window: duplicateWindowMs * nanosPerMs,
    allow_direct: true,
    ...notOurs,
  } as Partial<StreamConfig> & { name: string };
}

/** Removed because it would store messages under subjects that their publisher may not use. */
const notOurs = { subject_transform: undefined, sources: undefined };

/** How a stream's configuration differs from what services set; empty if it does not. */
export function driftOf(
  present: StreamConfig,
  options: StreamOptions,
): { field: string; present: string; wanted: string }[] {
  return Object.entries(configOf(options)).flatMap(([field, value]) => {
    const [found, wanted] = [present[field as keyof StreamConfig], value].map(asText);
    if (found === wanted || found === undefined || wanted === undefined) return [];
    return [{ field, present: found, wanted }];
  });
}

function asText(value: unknown): string {
  return JSON.stringify(value) ?? 'absent';
}

/** Whether JetStream refused with this code. */
export function isApiError(error: unknown, code: number): boolean {
  return error instanceof NatsError && error.api_error?.err_code === code;
}
