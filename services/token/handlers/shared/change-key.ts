import type { Reach } from '@silo/access/reach.ts';
import { errors } from '@silo/errors/errors.ts';
import type { Codec } from '@silo/log/event-log.ts';
import type { Outcome, Unpropagated } from '@silo/mongo/mutation.ts';
import type { KeyFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import type { Occasion } from '../../events.ts';
import { endsCaller, type KeyChange } from '../../rules/key-changes.ts';
import {
  checkStillCaller,
  checkWithinCaller,
  isExpired,
  isVisible,
} from '../../rules/key-scope.ts';
import { checkKeyCount } from '../../rules/keys-per-account.ts';
import type { KeyDocument } from '../../store/documents.ts';
import type { Dependencies } from '../dependencies.ts';

/** What is known when a change of a key is decided. */
export type KeyContext = { key: KeyDocument; caller: KeyFact; occasion: Occasion };

/**
 * Decides one change of one key of the caller's account, with the calling key as it is then. `decide`
 * answers undefined where nothing changes; `respond` gets the key as it was left, before its deletion
 * too. Refuses with KEY_NOT_FOUND, and RESOURCE_LIMIT where an expired key would be one too many.
 */
export async function changeKey<Response>(
  { eventLog, keys, endedKeys }: Dependencies,
  call: Call,
  keyId: string,
  answer: {
    codec: Codec<Response>;
    sealed?: boolean;
    decide(context: KeyContext): KeyChange | undefined;
    /** What must lie within the calling key; unless given nothing must. Refused KEY_EXCEEDS_CALLER. */
    within?(context: KeyContext): Reach | undefined;
    /** Whether it takes access from nobody; unless given it may. */
    keepsAccess?(context: KeyContext): boolean;
    respond(key: KeyDocument, now: Date): Unpropagated<Response>;
  },
): Promise<Outcome<Response>> {
  const { codec, sealed, decide, respond } = answer;
  const {
    keyHash,
    key: { accountId },
  } = keyCaller(call);
  return await eventLog.mutate(call, codec, async (tx) => {
    const { now, emit } = tx;
    await keys.lockAccount(tx, accountId);
    const fact = await keys.findFactIn(tx, accountId, keyHash);
    const caller = checkStillCaller(fact, now);
    const key = await keys.findIn(tx, accountId, keyId);
    if (key === undefined || !isVisible(caller, key)) throw errors.keyNotFound(keyId);
    const context = { key, caller, occasion: { actor: call.actor, now } };
    const within = answer.within?.(context);
    if (within !== undefined) checkWithinCaller(within, caller);
    const change = decide(context);
    const keepsAccess = answer.keepsAccess?.(context);
    const decided = { sealed, keepsAccess, alsoDemands: [{ keyId, within }] };
    if (change === undefined) return { response: respond(key, now), ...decided };
    const { after, events } = change;
    if (after === undefined) await keys.remove(tx, accountId, keyId);
    else await keys.save(tx, after);
    if (after !== undefined && isExpired(key, now) && !isExpired(after, now)) {
      checkKeyCount(await keys.listExpiries(tx, accountId), now); // it counts again
    }
    await endedKeys.remove(
      tx,
      key.secrets.map(({ hash }) => hash),
    );
    if (call.request && caller.keyId === keyId && endsCaller(caller, keyHash, after)) {
      const requestKey = call.request.key;
      await endedKeys.insert(tx, keyHash, { accountId, keyId, requestKey }, now);
    }
    for (const event of events) emit(event);
    return { response: respond(after ?? key, now), ...decided };
  });
}
