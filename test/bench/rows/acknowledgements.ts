import { setTimeout as pause } from 'node:timers/promises';
import { subscribeAcknowledgements } from '@silo/events/acknowledgements.ts';
import { connectNats, type NatsLink } from '@silo/events/connect.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { type Bench, subjectPrefix } from '../bench-servers.ts';
import { embeddedGuards, startGuards } from '../guards.ts';
import { Live } from '../live.ts';
import { knowAll, revokeAll } from '../revoke-all.ts';
import type { Measured, Row } from '../row.ts';
import { createTenant, giveTokens } from '../tenant.ts';

const guards = 100;
const few = 100;
const many = 1_000;
const quietMs = 500;

/**
 * The number of messages with which guards acknowledge many concurrent revocations, each of another
 * project's token, as a share of one message for each guard and revocation. Guards that have
 * applied several events acknowledge only the last of them, so the number grows more slowly than
 * revocations × guards.
 */
export const acknowledgements: Row = {
  name: 'acknowledgements',
  unit: 'share',
  goal: { of: 'value', atMost: 0.2 },
  about: `acknowledgements received on NATS of ${many} revocations at once with ${guards} guards beside the services' own, for each revocation and guard`,
  run: measure,
};

async function measure(bench: Bench): Promise<Measured> {
  const silo = await bench.silo();
  await using live = new Live(silo);
  const log = silentLogger();
  await using nats = connectNats({ url: await bench.nats(), name: 'bench', log });
  await nats.ready(AbortSignal.timeout(10_000));
  using tenant = await createTenant(silo, live, { projects: many + 1 });
  const projectIds = tenant.projectIds.slice(1);
  await giveTokens(live, projectIds);
  await knowAll(tenant, projectIds);
  await using _guards = await startGuards(bench, guards);
  const leases = guards + embeddedGuards;
  const count = async (revocations: number) => {
    using messages = new Messages(nats);
    await revokeAll(tenant, projectIds.slice(0, revocations));
    return await messages.whenQuiet();
  };
  const ofFew = await count(few);
  const ofMany = await count(many);
  const remark = `${ofFew} messages for ${few} revocations, ${ofMany} for ${many}, of ${leases} guards`;
  return { value: ofMany / (many * leases), remark };
}

/** Counts what guards acknowledge, until disposed of. */
class Messages implements Disposable {
  readonly #subscription: Disposable;
  #count = 0;

  constructor(nats: NatsLink) {
    this.#subscription = subscribeAcknowledgements(nats, {
      subjectPrefix,
      onAcknowledgement: () => this.#count++,
      // It counts messages without having their keys.
      findSecret: () => undefined,
      onIgnored: () => this.#count++,
      log: silentLogger(),
    });
  }

  /** The number of messages, once no more have come for a while. */
  async whenQuiet(): Promise<number> {
    for (let before = -1; before < this.#count; ) {
      before = this.#count;
      await pause(quietMs);
    }
    return this.#count;
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }
}
