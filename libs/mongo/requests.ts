import type { Demand } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import { openWith, sealWith } from '@silo/tokens/seal.ts';
import type { Binary, Collection } from 'mongodb';
import { readLinearizable } from './linearizable.ts';
import type { Mutation, RequestIdentity, RequestRecord, Unpropagated } from './mutation.ts';

// The design promises 24 h; the additional hour covers clock differences and the interval of
// MongoDB's TTL thread.
const keptMs = 25 * 60 * 60 * 1000;

/** The stored record of a request. */
export type RequestDocument = {
  _id: Uint8Array | Binary;
  bodyHash: Uint8Array;
  reauthorize: Demand[];
  response?: Uint8Array | undefined;
  sealed?: Uint8Array | undefined;
  sagaId?: string | undefined;
  eventIds: string[];
  keepsAccess?: boolean | undefined;
  createTime: Date;
  expireTime: Date;
};

/** Encodes and decodes a response: any message of ts-proto. */
export type Codec<Response> = {
  encode(response: Unpropagated<Response>): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Response;
};

/** The demands that authorize a repeat of a decided request. */
export type RepeatTerms = {
  /**
   * Further demands that `Mutation.authorization` does not contain, such as a level that depends on
   * state.
   */
  alsoDemands?: readonly Demand[] | undefined;
  /** Replaces all other demands, for a request that itself ends the access that its caller used. */
  reauthorize?: readonly Demand[] | undefined;
};

/** The result of a mutation's body. */
export type Decided<Response> = RepeatTerms & {
  response: Unpropagated<Response>;
  /** Whether the response contains a secret, so that only the request id can open it again. */
  sealed?: boolean | undefined;
  /** Whether it ends no access, so that it needs no barrier. */
  keepsAccess?: boolean | undefined;
};

/** What to store about a request with its decision. */
export type RequestMemory = RepeatTerms & Omit<RequestRecord, 'bodyHash' | 'reauthorize'>;

/** The record of a finished request in its stored form. */
export function requestDocument(
  key: Uint8Array,
  record: RequestRecord,
  now: Date,
): RequestDocument {
  return {
    _id: Buffer.from(key),
    bodyHash: Buffer.from(record.bodyHash),
    reauthorize: record.reauthorize,
    response: record.response && Buffer.from(record.response),
    sealed: record.sealed && Buffer.from(record.sealed),
    sagaId: record.sagaId,
    eventIds: record.eventIds ?? [],
    keepsAccess: record.keepsAccess,
    createTime: now,
    expireTime: new Date(now.getTime() + keptMs),
  };
}

/** What to store if the answer is known with the decision. */
export function memoryOf<Response>(
  request: RequestIdentity,
  decided: Decided<Response>,
  codec: Codec<Response>,
): RequestMemory {
  const bytes = codec.encode(decided.response).finish();
  const { alsoDemands, reauthorize, sealed, keepsAccess } = decided;
  const common = { alsoDemands, reauthorize, keepsAccess };
  if (sealed !== true) return { ...common, response: bytes };
  return { ...common, sealed: sealWith(request.id, bytes) };
}

/** The record of a mutation's request. */
export function recordOf(
  request: RequestIdentity,
  { authorization }: Pick<Mutation, 'authorization'>,
  { alsoDemands = [], reauthorize, ...memory }: RequestMemory,
): RequestRecord {
  const { bodyHash } = request;
  const demands = reauthorize ?? [...(authorization?.demands ?? []), ...alsoDemands];
  return { ...memory, bodyHash, reauthorize: [...demands] };
}

/**
 * The answer in a record. Refuses with REQUEST_ID_REUSED if the record is of another request;
 * undefined if a saga makes the answer.
 */
export function answerOf<Response>(
  request: RequestIdentity,
  record: RequestRecord,
  codec: Codec<Response>,
): Response | undefined {
  refuseReuse(request, record);
  if (record.sagaId !== undefined) return undefined;
  const bytes = record.response ?? (record.sealed && openWith(request.id, record.sealed));
  if (bytes === undefined) throw new TypeError('the record of a request does not open');
  return codec.decode(bytes);
}

/** Refuses with REQUEST_ID_REUSED if the record is of another request with the same id. */
export function refuseReuse(request: RequestIdentity, record: RequestRecord): void {
  if (!Buffer.from(request.bodyHash).equals(record.bodyHash)) throw errors.requestIdReused();
}

/** Finds the record of a request, as of now and durable; undefined if there is none. */
export async function findRequest(
  { requests }: { requests: Collection<RequestDocument> },
  key: Uint8Array,
  signal?: AbortSignal,
): Promise<RequestRecord | undefined> {
  // A refusal may depend on a change that only the primary has, so only a linearizable read is sure
  // to see its record.
  const found = await readLinearizable(requests, { _id: Buffer.from(key) }, { signal });
  if (found === null) return undefined;
  const { _id, createTime, expireTime, ...record } = found;
  return record;
}
