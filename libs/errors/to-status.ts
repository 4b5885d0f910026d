import { Metadata, type ServiceError } from '@grpc/grpc-js';
import type { Any } from '@silo/protos/gen/google/protobuf/any.ts';
import {
  BadRequest,
  ErrorInfo,
  PreconditionFailure,
  QuotaFailure,
  RequestInfo,
  ResourceInfo,
  RetryInfo,
} from '@silo/protos/gen/google/rpc/error_details.ts';
import { Status } from '@silo/protos/gen/google/rpc/status.ts';
import type { ErrorDetails, SiloError } from './silo-error.ts';

export const errorDomain = 'silo.internal';
/** The trailer with the serialized google.rpc.Status. */
export const detailsKey = 'grpc-status-details-bin';
/**
 * Maximum size of the google.rpc.Status: proxies and clients reject long trailers.
 * @internal Exported for tests.
 */
export const statusSizeBytesMax = 4096;

const textLengthMax = 240;
const violationsMax = 40;
/** Number of encoded errors that are kept; at most 1.5 MiB with their keys. */
const encodedMax = 256;
const contentLengthMax = 1_024;
const encodedByContent = new Map<string, Buffer>();

/** The error that a grpc-js handler returns. */
export type StatusError = Pick<ServiceError, 'code' | 'details' | 'metadata'>;

/** Encodes the error as a gRPC status with `grpc-status-details-bin`, truncated to 4 KiB. */
export function toStatus(error: SiloError): StatusError {
  const metadata = new Metadata();
  metadata.set(detailsKey, encodeStatus(error));
  return { code: error.code, details: cutText(error.message), metadata };
}

// Cached, because a flood of rejected calls gets few different errors, and encoding one is the
// largest part of its cost.
function encodeStatus(error: SiloError): Buffer {
  const { code, reasonName, message, metadata, details } = error;
  const content = JSON.stringify([code, reasonName, message, metadata, details]);
  if (content.length > contentLengthMax) return encode(error);
  const known = encodedByContent.get(content);
  if (known !== undefined) return known;
  const encoded = encode(error);
  if (encodedByContent.size >= encodedMax) encodedByContent.clear();
  encodedByContent.set(content, encoded);
  return encoded;
}

function encode(error: SiloError): Buffer {
  let kept = violationsMax;
  for (;;) {
    const bytes = Status.encode({
      code: error.code,
      message: cutText(error.message),
      details: packed(error, kept),
    }).finish();
    if (bytes.length <= statusSizeBytesMax || kept === 0) return Buffer.from(bytes);
    kept = Math.floor(kept / 2);
  }
}

function packed(error: SiloError, kept: number): Any[] {
  const { badRequest, preconditionFailure, quotaFailure, ...others } = error.details;
  const lists = [badRequest, preconditionFailure, quotaFailure];
  const cutCount = lists.reduce((sum, list = []) => sum + Math.max(0, list.length - kept), 0);
  const truncated: Record<string, string> = cutCount > 0 ? { truncated: String(cutCount) } : {};
  const all = [
    pack('ErrorInfo', ErrorInfo, {
      reason: error.reasonName,
      domain: errorDomain,
      metadata: { ...cutTexts(error.metadata), ...truncated },
    }),
  ];
  if (badRequest) {
    const fieldViolations = badRequest.slice(0, kept).map((violation) => ({
      ...cutTexts(violation),
      reason: '',
      localizedMessage: undefined,
    }));
    all.push(pack('BadRequest', BadRequest, { fieldViolations }));
  }
  if (preconditionFailure) {
    const violations = preconditionFailure.slice(0, kept).map(cutTexts);
    all.push(pack('PreconditionFailure', PreconditionFailure, { violations }));
  }
  if (quotaFailure) {
    const violations = quotaFailure.slice(0, kept).map(cutTexts);
    all.push(pack('QuotaFailure', QuotaFailure, QuotaFailure.fromPartial({ violations })));
  }
  return [...all, ...packedOthers(others)];
}

function packedOthers({ resourceInfo, retryDelayMs, requestInfo }: ErrorDetails): Any[] {
  const all: Any[] = [];
  if (resourceInfo) {
    const info = { owner: '', description: '', ...cutTexts(resourceInfo) };
    all.push(pack('ResourceInfo', ResourceInfo, info));
  }
  if (retryDelayMs !== undefined) {
    const seconds = Math.floor(retryDelayMs / 1_000);
    const nanos = Math.round((retryDelayMs % 1_000) * 1_000_000);
    all.push(pack('RetryInfo', RetryInfo, { retryDelay: { seconds, nanos } }));
  }
  if (requestInfo !== undefined) {
    all.push(pack('RequestInfo', RequestInfo, { requestId: requestInfo, servingData: '' }));
  }
  return all;
}

type Codec<T> = { encode(message: T): { finish(): Uint8Array } };

function pack<T>(name: string, codec: Codec<T>, message: T): Any {
  const value = Buffer.from(codec.encode(message).finish());
  return { typeUrl: `type.googleapis.com/google.rpc.${name}`, value };
}

function cutText(text: string): string {
  const cut = text.length <= textLengthMax ? text : `${text.slice(0, textLengthMax - 3)}...`;
  return cut.toWellFormed(); // grpc-js percent-encodes the message and throws on a lone surrogate
}

function cutTexts<T extends Record<string, string>>(texts: T): T {
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, cutText(text)])) as T;
}
