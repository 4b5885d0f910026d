import type { RegenerateProjectTokenResponse } from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import { Bare, sequence } from '../bare.ts';
import { BareMessages, fanOut } from '../bare-messages.ts';
import type { Bench } from '../bench-servers.ts';
import { cpuPerCall, type ProcessGroups } from '../cpu-per-call.ts';
import { embeddedGuards, startGuards } from '../guards.ts';
import { Live } from '../live.ts';
import { compareLatencies, type Operation } from '../measure.ts';
import { type Goal, type Measured, milliseconds, type Row } from '../row.ts';
import { createTenant, type Tenant } from '../tenant.ts';

/** Less than an event, which has about 700 bytes: the floor uses smaller messages. */
const messageBytes = 300;

const atMostThrice: Goal = { of: 'ratio', atMost: 3 };

/**
 * `RegenerateProjectToken` over public gRPC, one call after another, with this number of guards in
 * addition to those of the four services: when it returns, none of them accepts the old token. The
 * floor, one after another: a bare transaction that writes the same number of documents (the
 * project's token, the fact of the old one and of the new one, outbox), a bare majority write (the
 * requirement of guards), and a message over NATS with its answer.
 */
export const revoke: readonly Row[] = [
  row('revoke-0-guards', 0, 'p50', atMostThrice),
  row('revoke-10-guards', 10, 'p50', atMostThrice),
  row('revoke-100-guards', 100, 'p50', atMostThrice),
  row('revoke-100-guards-p99', 100, 'p99', { of: 'value', atMost: 250 }),
];

function row(name: string, guards: number, which: 'p50' | 'p99', goal: Goal): Row {
  return {
    name,
    unit: 'ms',
    goal,
    about: `RegenerateProjectToken with ${guards} guards beside the services' own, ${which}; floor: a bare transaction that writes four documents, a bare majority write and a NATS round trip, one after another`,
    run: (bench) => measure(bench, name, guards, which),
  };
}

async function measure(
  bench: Bench,
  name: string,
  guards: number,
  which: 'p50' | 'p99',
): Promise<Measured> {
  const silo = await bench.silo();
  await using live = new Live(silo);
  await using bare = await Bare.open(silo.endpoints.mongodb, `bench-floor-${name}`);
  // The NATS user in the endpoints may only read events.
  await using messages = await BareMessages.open(await bench.nats());
  using tenant = await createTenant(silo, live, { projects: 1 });
  const fanOutRemark = await fanOutOf(bench, messages, guards);
  await using fleet = await startGuards(bench, guards);
  const revocations = new Revocations(tenant, guards + embeddedGuards);
  await revocations.revoke();
  const floor = sequence([...(await bareRevocation(live, bare, tenant)), messages.roundTrip()]);
  const took = await compareLatencies({ floor, measured: () => revocations.revoke() });
  const { value, floor: floorMs, remark } = milliseconds(took);
  const cpu = await cpuPerCall(await processesOf(bench, fleet.pid), () => revocations.revoke());
  const text = `${remark}; ${revocations.remark()}; each call takes ${cpu}${fanOutRemark}`;
  if (which === 'p50') return { value, floor: floorMs, remark: text };
  return { value: took.measured.p99Ms, floor: took.floor.p99Ms, remark: text };
}

/** The time that the machine takes for the messages alone, without any handling. */
async function fanOutOf(bench: Bench, messages: BareMessages, guards: number): Promise<string> {
  if (guards === 0) return '';
  const options = { connections: guards, bytes: messageBytes };
  await using bare = await fanOut(await bench.nats(), options);
  const { measured } = await compareLatencies({ floor: messages.roundTrip(), measured: bare });
  const { nats } = await bench.serverPids();
  const cpu = await cpuPerCall({ connections: [bare.pid], 'nats-server': [nats] }, bare);
  return `; one bare message to ${guards} connections and an answer of each: ${measured.p50Ms.toFixed(1)} ms, ${cpu}`;
}

/** Regenerates one project's token repeatedly, and checks the propagation each time. */
class Revocations {
  readonly #tenant: Tenant;
  readonly #leases: number;
  #calls = 0;
  #expired = 0;

  constructor(tenant: Tenant, leases: number) {
    this.#tenant = tenant;
    this.#leases = leases;
  }

  async revoke(): Promise<void> {
    const { tokens, projectId } = this.#tenant;
    const request = { projectId, expectedFingerprint: '', requestId: '' };
    const { guards = 0, expired = 0 } = propagationOf(await tokens.regenerateProjectToken(request));
    if (guards < this.#leases) throw new Error(`${guards} of ${this.#leases} guards held leases`);
    this.#calls++;
    this.#expired += expired;
  }

  remark(): string {
    return `${this.#leases} leases, ${this.#expired} expired in ${this.#calls} calls`;
  }
}

/** The processes that a revocation uses, by kind. */
async function processesOf(bench: Bench, fleet: number): Promise<ProcessGroups> {
  const { services } = await bench.silo();
  const pids = Object.entries(services).map(([name, { pid }]) => [name, [pid ?? Number.NaN]]);
  const { mongod, nats } = await bench.serverPids();
  return { ...Object.fromEntries(pids), guards: [fleet], mongod: [mongod], 'nats-server': [nats] };
}

function propagationOf({ propagation }: RegenerateProjectTokenResponse) {
  if (propagation === undefined) throw new TypeError('the response has no propagation');
  return propagation;
}

async function bareRevocation(live: Live, bare: Bare, { projectId }: Tenant): Promise<Operation[]> {
  const state = await live.find('token', 'projects', { _id: projectId });
  const fact = await live.find('token', 'project_tokens', { projectId });
  const requirement = await live.find('token', 'requirements', {});
  const outbox = await live.outboxGroup('token', ['revoked', 'created'], projectId);
  return [
    await bare.transaction([
      { kind: 'change', collection: 'projects', sample: state },
      { kind: 'swap', collection: 'tokens', sample: fact },
      { kind: 'add', collection: 'outbox', sample: outbox },
    ]),
    await bare.write('requirements', requirement),
  ];
}
