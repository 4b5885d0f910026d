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

/** The documents on which a change of a key is decided. */
export type KeyContext = { key: KeyDocument; caller: KeyFact; occasion: Occasion };

/**
 * Decides one change of one key of the caller's account, and reads the calling key in the same
 * transaction. `decide` returns undefined if nothing changes. `respond` gets the key after the
 * change, or the last state of a deleted key. Refuses with KEY_NOT_FOUND, and with RESOURCE_LIMIT
 * if an expired key becomes valid again and exceeds the limit.
 */
export async function changeKey<Response>(
  { eventLog, keys, endedKeys }: Dependencies,
  call: Call,
  keyId: string,
  answer: {
    codec: Codec<Response>;
    sealed?: boolean;
    decide(context: KeyContext): KeyChange | undefined;
    /**
     * The reach that must lie within the calling key; undefined: no check. Refuses with
     * KEY_EXCEEDS_CALLER.
     */
    within?(context: KeyContext): Reach | undefined;
    /** Whether the change ends nobody's access. Absent: it may end access. */
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
      checkKeyCount(await keys.listExpiries(tx, accountId), now); // the key counts again
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
