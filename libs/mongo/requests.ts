import type { Demand } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import { openWith, sealWith } from '@silo/tokens/seal.ts';
import type { Binary, Collection } from 'mongodb';
import { readLinearizable } from './linearizable.ts';
import type { Mutation, RequestIdentity, RequestRecord, Unpropagated } from './mutation.ts';

// The design promises 24 h; the hour more covers clocks and the pace of MongoDB's TTL thread.
const keptMs = 25 * 60 * 60 * 1000;

/** What is remembered of a request. */
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

/** What encodes and decodes a response: any message of ts-proto. */
export type Codec<Response> = {
  encode(response: Unpropagated<Response>): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Response;
};

/** By what a repeat of a decided request is authorized. */
export type RepeatTerms = {
  /**
   * What was demanded beside what `Mutation.authorization` holds, such as a level that state
   * decided.
   */
  alsoDemands?: readonly Demand[] | undefined;
  /** Instead of all that: for a request that itself ends what its caller was allowed by. */
  reauthorize?: readonly Demand[] | undefined;
};

/** What a mutation's body answers. */
export type Decided<Response> = RepeatTerms & {
  response: Unpropagated<Response>;
  /** Whether the response holds a secret, so that only the request id may open it again. */
  sealed?: boolean | undefined;
  /** Whether it ends no access, so that it needs no barrier. */
  keepsAccess?: boolean | undefined;
};

/** What is to be remembered of a request with its decision. */
export type RequestMemory = RepeatTerms & Omit<RequestRecord, 'bodyHash' | 'reauthorize'>;

/** The record of a finished request as it is stored. */
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

/** What is to be remembered where the answer is known with the decision. */
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
 * The answer that a record holds. Refuses with REQUEST_ID_REUSED where the record is of another
 * request; undefined where a saga makes the answer.
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

/** Refuses with REQUEST_ID_REUSED where the record is of another request under the same id. */
export function refuseReuse(request: RequestIdentity, record: RequestRecord): void {
  if (!Buffer.from(request.bodyHash).equals(record.bodyHash)) throw errors.requestIdReused();
}

/** Finds what is remembered of a request, as of now and durable; undefined where nothing is. */
export async function findRequest(
  { requests }: { requests: Collection<RequestDocument> },
  key: Uint8Array,
  signal?: AbortSignal,
): Promise<RequestRecord | undefined> {
  // A refusal may rest on a change that only the primary has: nothing less would see its record.
  const found = await readLinearizable(requests, { _id: Buffer.from(key) }, { signal });
  if (found === null) return undefined;
  const { _id, createTime, expireTime, ...record } = found;
  return record;
}
