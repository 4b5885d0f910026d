import type { Answer, PermitAnswer, Question, TokenAnswer } from '@silo/access/access.ts';
import { connectNats } from '@silo/events/connect.ts';
import type { NatsServers } from '@silo/events/nats-options.ts';
import { remoteReader } from '@silo/log/remote-reader.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { EventLogServiceClient } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { FactServiceClient as OrgFactServiceClient } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import { FactServiceClient as ProjectFactServiceClient } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import { FactServiceClient as TokenFactServiceClient } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import { RegistryServiceClient } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import { connect, createChannel } from '@silo/rpc/client.ts';
import { FollowedTls, type TlsFiles } from '@silo/rpc/tls.ts';
import { type Log, silentLogger } from '@silo/runtime/log.ts';
import type { Metrics } from '@silo/runtime/metrics.ts';
import { hashOf, isWellFormed, secretPrefixes } from '@silo/tokens/secrets.ts';
import type { Source } from './core/position.ts';
import type { Protections } from './core/protections.ts';
import { Guard as EmbeddedGuard, type GuardSizes } from './guard.ts';
import { measureGuard } from './guard-metrics.ts';
import type { GuardStatus, Revoked } from './guard-status.ts';
import type { GuardLinks } from './links.ts';
import { createRegistryClient } from './registry-client.ts';
import { remoteFactReader } from './remote-fact-reader.ts';

/** The addresses and limits of a product's guard. */
export type CreateGuardOptions = {
  /** A name for logs. */
  name: string;
  /** `host:port` of the internal ports. */
  addresses: Record<Source, string>;
  /**
   * PEM files: the deployment's CA, and a certificate of role `guard` with its key. They may be
   * replaced while the guard runs: new connections use the new files.
   */
  tls: TlsFiles;
  /** Events are published below `subjectPrefix`; default `silo.v1`. */
  nats: NatsServers & { subjectPrefix?: string };
  sizes?: Partial<GuardSizes>;
  /** Default: nothing is logged. */
  log?: Log;
  /** Receives the guard's metrics, if given. */
  metrics?: Metrics;
};

/**
 * What a key must be allowed to do: a scope, in one organization or project, or without a target in
 * the account itself. An empty or null id names nothing and is refused.
 */
export type Need = {
  /** Such as `project:write`. */
  scope?: string;
  /** The minimum level in the target's organization; default MEMBER. */
  level?: Level;
} & (
  | { organizationId?: string | undefined; projectId?: undefined }
  | { organizationId?: undefined; projectId?: string | undefined }
);

/**
 * Answers access checks from memory; revocations take effect at once. Returns the answer directly
 * if memory has it, else a promise. The promise rejects with UNAVAILABLE if the answer could not be
 * determined, which says nothing about access. `signal` ends the wait; without one it takes at most
 * 3 s.
 */
export type Guard = AsyncDisposable & {
  /** Returns the project of this project token, `phc_...`. */
  verifyToken(token: string, signal?: AbortSignal): TokenAnswer | Promise<TokenAnswer>;
  /** Whether an API key, `phx_...`, may read something, with the facts behind the answer. */
  authorize(key: string, need: Need, signal?: AbortSignal): Answer | Promise<Answer>;
  /**
   * Whether a key may change something. An allowed answer has a permit: complete your decision
   * within its `remainingMs()`, and call `release()` as soon as the outcome is known.
   */
  permit(key: string, need: Need, signal?: AbortSignal): Promise<PermitAnswer>;
  /**
   * Calls back with facts that ended, so that open connections that depend on them can be checked
   * again. At the end of a read lease it calls back with everything, because it is unknown what
   * ended.
   */
  onRevoked(callback: (revoked: Revoked) => void): Disposable;
  status(): GuardStatus;
};

type Refused = Extract<Answer, { allowed: false }>;

const keyRefused = refused(ErrorReason.ERROR_REASON_TOKEN_INVALID);
const organizationRefused = refused(ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND);
const projectRefused = refused(ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND);

/**
 * Starts a guard. The services need not run yet. Dispose of it to release its lease. Only control
 * runs set `protections`.
 */
export function createGuard(options: CreateGuardOptions, protections?: Protections): Guard {
  const { name, addresses, nats, sizes, log = silentLogger(), metrics } = options;
  const tls = new FollowedTls(options.tls, { log });
  const channels = {
    org: createChannel(addresses.org, tls),
    project: createChannel(addresses.project, tls),
    token: createChannel(addresses.token, tls),
  };
  const link = connectNats({ ...nats, name: `silo-guard-${name}`, log });
  const guard = new EmbeddedGuard({
    name,
    links: {
      ...linksOver(channels),
      nats: link,
      subjectPrefix: nats.subjectPrefix ?? 'silo.v1',
    },
    log,
    ...(sizes && { sizes }),
    ...(protections && { protections }),
  });
  if (metrics !== undefined) measureGuard(metrics, () => guard.status());
  return {
    verifyToken: (token, signal) => guard.verifyToken(token, signal),
    authorize: (key, need, signal) => {
      const question = questionOf(key, need);
      return 'refusal' in question ? question : guard.authorize(question, signal);
    },
    permit: async (key, need, signal) => {
      const question = questionOf(key, need);
      return 'refusal' in question ? question : await guard.permit(question, signal);
    },
    onRevoked: (callback) => guard.onRevoked(callback),
    status: () => guard.status(),
    [Symbol.asyncDispose]: async () => {
      await guard[Symbol.asyncDispose]();
      await link[Symbol.asyncDispose]();
      for (const channel of Object.values(channels)) channel.close();
      tls[Symbol.dispose]();
    },
  };
}

function linksOver({
  org,
  project,
  token,
}: Record<Source, ReturnType<typeof createChannel>>): Pick<
  GuardLinks,
  'leases' | 'logs' | 'factReader'
> {
  const repeatable = { retry: true };
  return {
    leases: createRegistryClient(connect(RegistryServiceClient, token)),
    logs: {
      org: remoteReader('org', connect(EventLogServiceClient, org)),
      project: remoteReader('project', connect(EventLogServiceClient, project)),
      token: remoteReader('token', connect(EventLogServiceClient, token)),
    },
    factReader: remoteFactReader({
      org: { facts: connect(OrgFactServiceClient, org, repeatable) },
      project: { facts: connect(ProjectFactServiceClient, project, repeatable) },
      token: { facts: connect(TokenFactServiceClient, token, repeatable) },
    }),
  };
}

/**
 * The check of a key, or its refusal if no facts are needed. Throws TypeError for two targets: with
 * both, the guard would trust the caller about which organization has the project.
 */
function questionOf(key: string, need: Need): Question | Refused {
  const { scope, level, organizationId, projectId } = need;
  if (organizationId !== undefined && projectId !== undefined) {
    throw new TypeError('name an organization or a project, not both');
  }
  if (!isWellFormed(key, secretPrefixes.apiKey)) return keyRefused;
  // An empty id must not count as no target, which requires less.
  if (organizationId !== undefined && !organizationId) return organizationRefused;
  if (projectId !== undefined && !projectId) return projectRefused;
  return { keyHash: hashOf(key), scope, level, organizationId, projectId };
}

function refused(reason: ErrorReason): Refused {
  return { allowed: false, refusal: { reason, detail: '' } };
}
