import type { Outcome } from '@silo/mongo/mutation.ts';
import type { Duration } from '@silo/protos/gen/google/protobuf/duration.ts';
import {
  type RollApiKeyRequest,
  RollApiKeyResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { toApiKey } from '../messages.ts';
import { rollKey } from '../rules/key-changes.ts';
import { checkNotExpired, reachOf } from '../rules/key-scope.ts';
import type { Dependencies } from './dependencies.ts';
import { changeKey } from './shared/change-key.ts';
import { freshKeySecret } from './shared/fresh-secrets.ts';

/** RollApiKey: creates a new secret under the same id. */
export async function rollApiKey(
  { keyId, overlap, etag }: RollApiKeyRequest,
  call: Call,
  dependencies: Dependencies,
): Promise<Outcome<RollApiKeyResponse>> {
  const { secret, stored } = freshKeySecret();
  return changeKey(dependencies, call, keyId, {
    codec: RollApiKeyResponse,
    sealed: true,
    decide: ({ key, occasion }) => {
      checkEtag(etag, key.revision);
      checkNotExpired(key, occasion.now);
      return rollKey(key, stored, millisecondsOf(overlap), occasion);
    },
    within: ({ key }) => reachOf(key),
    respond: (key, now) => ({ apiKey: toApiKey(key, now), secret }),
  });
}

function millisecondsOf(duration: Duration | undefined): number {
  if (duration === undefined) return 0;
  return duration.seconds * 1_000 + Math.ceil(duration.nanos / 1_000_000);
}
