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

/** Where a product's guard finds its deployment, and how large it may grow. */
export type CreateGuardOptions = {
  /** A name for logs. */
  name: string;
  /** `host:port` of the internal ports. */
  addresses: Record<Source, string>;
  /**
   * PEM files: the deployment's CA, and a certificate of role `guard` with its key. They may be
   * replaced: new connections use the new ones.
   */
  tls: TlsFiles;
  /** The events are below `subjectPrefix`, `silo.v1` unless given. */
  nats: NatsServers & { subjectPrefix?: string };
  sizes?: Partial<GuardSizes>;
  /** Nothing is logged unless given. */
  log?: Log;
  /** Where its metrics go, if anywhere. */
  metrics?: Metrics;
};

/**
 * What a key must be able to do: its scope, and where, in one organization or project; without a target,
 * for the account itself. An empty id, or null, is that of nothing, and refused as such.
 */
export type Need = {
  /** Such as `project:write`. */
  scope?: string;
  /** The least level in the target's organization; MEMBER unless given. */
  level?: Level;
} & (
  | { organizationId?: string | undefined; projectId?: undefined }
  | { organizationId?: undefined; projectId?: string | undefined }
);

/**
 * Answers about access from memory, immediately revoked. Answers are there at once where memory
 * knows, else promised; a promise rejects with UNAVAILABLE where the answer could not be had, and
 * then nothing is said about access. `signal` ends the waiting; without one it lasts 3 s at most.
 */
export type Guard = AsyncDisposable & {
  /** Whose project token, `phc_...`, this is. */
  verifyToken(token: string, signal?: AbortSignal): TokenAnswer | Promise<TokenAnswer>;
  /** Whether an API key, `phx_...`, may read something: with the facts behind the answer. */
  authorize(key: string, need: Need, signal?: AbortSignal): Answer | Promise<Answer>;
  /**
   * Whether a key may change something. An allowed answer comes with a permit: end your
   * decision within its `remainingMs()`, and `release()` it as soon as the outcome is known.
   */
  permit(key: string, need: Need, signal?: AbortSignal): Promise<PermitAnswer>;
  /**
   * Calls back with facts that ended, so that open connections which rest on them can be looked at
   * again; with everything at the end of a read lease, when it is not known what ended.
   */
  onRevoked(callback: (revoked: Revoked) => void): Disposable;
  status(): GuardStatus;
};

type Refused = Extract<Answer, { allowed: false }>;

const keyRefused = refused(ErrorReason.ERROR_REASON_TOKEN_INVALID);
const organizationRefused = refused(ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND);
const projectRefused = refused(ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND);

/**
 * Starts a guard. It needs nothing to be up yet; dispose of it to give its lease back. Only control
 * runs say which `protections` are on.
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
 * The question about a key, or its refusal where no facts are needed. Throws TypeError for two targets:
 * with both, the guard would take the word of the caller for whose the project is.
 */
function questionOf(key: string, need: Need): Question | Refused {
  const { scope, level, organizationId, projectId } = need;
  if (organizationId !== undefined && projectId !== undefined) {
    throw new TypeError('name an organization or a project, not both');
  }
  if (!isWellFormed(key, secretPrefixes.apiKey)) return keyRefused;
  // Not "none", which requires less.
  if (organizationId !== undefined && !organizationId) return organizationRefused;
  if (projectId !== undefined && !projectId) return projectRefused;
  return { keyHash: hashOf(key), scope, level, organizationId, projectId };
}

function refused(reason: ErrorReason): Refused {
  return { allowed: false, refusal: { reason, detail: '' } };
}
