import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { retry } from '@silo/runtime/retry.ts';
import { upgrade } from '../authorization/world.ts';
import { type Clients, connectClients, type SignedUp } from '../harness/clients.ts';
import { eventually } from '../harness/eventually.ts';
import { steadyApi } from '../harness/steady.ts';
import type { FaultSilo } from './fault-silo.ts';

const answerWithinMs = 120_000;

/** A deployment with two replicas of each service. */
type Replicated = Pick<FaultSilo, 'addressesOf' | 'certificates' | 'edges'>;

/** A failure that callers repeat: UNAVAILABLE, or over HTTP 503 and a broken connection. */
class Unavailable extends Error {}

/**
 * Accounts and SDKs that work without pause while processes start and stop. They repeat calls that
 * are UNAVAILABLE, with the same `request_id`; anything else is a failure.
 */
export class Traffic implements AsyncDisposable {
  readonly failures: string[] = [];
  /** Events that the edge has accepted, by UUID. */
  readonly accepted: string[] = [];
  /** The number of repeated calls. */
  repeated = 0;
  /** The last repeated call of each kind. */
  readonly #lastRepeated = new Map<string, string>();
  readonly rounds: Record<string, number> = {};
  readonly ada: SignedUp;
  readonly #silo: Replicated;
  readonly #clients: Clients;
  readonly #stop = new AbortController();
  #workers: Promise<void>[] = [];

  private constructor(silo: Replicated, clients: Clients, ada: SignedUp) {
    this.#silo = silo;
    this.#clients = clients;
    this.ada = ada;
  }

  /** Signs up, and begins. Clients know all replicas of a service. `captures` require an edge. */
  static async start(silo: Replicated, { captures = true } = {}): Promise<Traffic> {
    const [first, second] = [silo.addressesOf(0), silo.addressesOf(1)];
    const target = (name: keyof typeof first, port: 'public' | 'internal') =>
      `ipv4:${first[name][port]},${second[name][port]}`;
    const addresses = structuredClone(first);
    for (const name of ['org', 'project', 'token', 'billing'] as const) {
      addresses[name] = { public: target(name, 'public'), internal: target(name, 'internal') };
    }
    const clients = connectClients(addresses, silo.certificates.staff);
    const ada = await clients.signUp('Ada');
    await upgrade(ada.api, ada.organization.id);
    const { organizations } = steadyApi(ada.api);
    const other = await organizations.createOrganization({ name: 'Other', requestId: '' });
    const otherId = other.organization?.id ?? '';
    await upgrade(ada.api, otherId);
    const traffic = new Traffic(silo, clients, ada);
    traffic.#workers = [
      traffic.#work('move', () => traffic.#moveProject(otherId)),
      traffic.#work('read', () => traffic.#read()),
      ...(captures ? [traffic.#work('capture', () => traffic.#capture())] : []),
    ];
    return traffic;
  }

  /** Returns when every worker has begun and ended a round after the call. */
  async goesOn(): Promise<void> {
    const before = { ...this.rounds };
    await eventually(() => {
      for (const [name, rounds] of Object.entries(this.rounds)) {
        if (rounds >= (before[name] ?? 0) + 2) continue;
        const repeated = [...this.#lastRepeated].map(([call, text]) => `${call}: ${text}`);
        throw new Error(`${name} does not continue; repeated last: ${repeated.join('; ')}`);
      }
    });
  }

  /** Ends the workers' rounds. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#workers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#clients.close();
  }

  async #work(name: string, round: () => Promise<void>): Promise<void> {
    this.rounds[name] = 0;
    while (!this.#stop.signal.aborted) {
      try {
        await round();
      } catch (error) {
        if (!this.#stop.signal.aborted) this.failures.push(`${name}: ${textOf(error)}`);
      }
      this.rounds[name] = (this.rounds[name] ?? 0) + 1;
    }
  }

  /** Repeats a call until it is answered. */
  async #answered<T>(name: string, call: () => Promise<T>): Promise<T> {
    return await retry(call, {
      ...{ attemptsMax: 300, baseMs: 50, capMs: 500, signal: AbortSignal.timeout(300_000) },
      isRetryable: (error) => {
        const isUnavailable = error instanceof Unavailable || codeOf(error) === status.UNAVAILABLE;
        if (isUnavailable) {
          this.repeated += 1;
          this.#lastRepeated.set(name, `${new Date().toISOString()} ${textOf(error)}`);
        }
        return isUnavailable;
      },
    });
  }

  /** A project from its creation to its end; its old token is refused everywhere at once. */
  async #moveProject(destinationOrganizationId: string): Promise<void> {
    const { api, organization } = this.ada;
    const requestId = randomUUID();
    const made = { organizationId: organization.id, name: 'Moved', settings: undefined, requestId };
    const { project, projectToken: token } = await this.#answered('createProject', () =>
      api.projects.createProject(made),
    );
    const projectId = project?.id ?? '';
    const move = { projectId, destinationOrganizationId, planFingerprint: '', etag: '', requestId };
    await this.#answered('moveProject', () => api.projects.moveProject(move));
    await this.#verify(token, destinationOrganizationId);
    const regenerate = { projectId, expectedFingerprint: '', requestId };
    await this.#answered('regenerateProjectToken', () =>
      api.projectTokens.regenerateProjectToken(regenerate),
    );
    await this.#verify(token, undefined);
    const end = { projectId, etag: '', requestId };
    await this.#answered('deleteProject', () => api.projects.deleteProject(end));
  }

  /** Asserts that every replica that answers gives this answer. */
  async #verify(token: string, organizationId: string | undefined): Promise<void> {
    for (const replica of [0, 1]) {
      const addresses = this.#silo.addressesOf(replica);
      using clients = disposable(connectClients(addresses, this.#silo.certificates.staff));
      const { access } = clients.internal().token;
      const { answer } = await this.#answered('verifyToken', () => access.verifyToken({ token }));
      const found = answer?.$case === 'facts' ? answer.value.organizationId : undefined;
      if (found !== organizationId) throw new Error(`replica ${replica} answers ${found}`);
    }
  }

  async #capture(): Promise<void> {
    const uuid = randomUUID();
    const { projectToken } = this.ada;
    const event = { event: 'seen', distinct_id: 'ada', uuid, properties: {} };
    const body = JSON.stringify({ api_key: projectToken, batch: [event] });
    let turn = this.rounds.capture ?? 0;
    await this.#answered('capture', async () => {
      const { edges } = this.#silo;
      const { url } = edges[turn++ % edges.length] ?? { url: '' };
      const signal = AbortSignal.timeout(answerWithinMs);
      const answer = await fetch(`${url}/batch`, { method: 'POST', body, signal }).catch(
        (error: unknown) => {
          if (signal.aborted) throw error;
          throw new Unavailable(textOf(error));
        },
      );
      if (answer.status === 503) throw new Unavailable(await answer.text());
      if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
      await answer.arrayBuffer();
    });
    this.accepted.push(uuid);
  }

  async #read(): Promise<void> {
    const { api, organization } = this.ada;
    const page = { organizationId: organization.id, pageSize: 10, pageToken: '' };
    await this.#answered('listProjects', () =>
      api.projects.listProjects({ ...page, showDeleted: false }),
    );
    await this.#answered('listActivity', () =>
      api.activity.listActivity({ ...page, projectId: '' }),
    );
    await this.#answered('getSubscription', () =>
      api.billing.getSubscription({ organizationId: organization.id }),
    );
  }
}

function disposable(clients: Clients): Clients & Disposable {
  return { ...clients, [Symbol.dispose]: () => clients.close() };
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function textOf(error: unknown): string {
  return error instanceof Error ? `${codeOf(error) ?? ''} ${error.message}` : String(error);
}
