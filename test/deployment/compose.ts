import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export const repository = join(import.meta.dirname, '..', '..');

/** A secret of a service: its source, and its path in the container. */
type Mount = { source: string; target: string };

/** The parts of a service in docker-compose.yml that are read. */
export type ComposeService = {
  name: string;
  entrypoint: readonly string[];
  command: readonly string[];
  environment: Readonly<Record<string, string>>;
  /** Whether it is started with the others; otherwise only by its name. */
  isStarted: boolean;
  workingDirectory: string;
  /** Files of this machine in the container, by their path there. */
  files: ReadonlyMap<string, string>;
  /** Names of volumes, by their path in the container. */
  volumes: ReadonlyMap<string, string>;
  /** The service whose network it shares; its own name if it has its own. */
  network: string;
  /** The command that checks its health; undefined if there is none. */
  healthCheck: readonly string[] | undefined;
  /** Services that must be healthy, or have ended, before it starts. */
  after: ReadonlyMap<string, 'healthy' | 'ended'>;
};

type RawService = {
  entrypoint?: string[];
  command?: string[];
  profiles?: string[];
  environment?: Record<string, string | number>;
  working_dir?: string;
  configs?: Mount[];
  secrets?: (string | Mount)[];
  volumes?: string[];
  network_mode?: string;
  healthcheck?: { test?: string[] };
  depends_on?: Record<string, { condition: string }>;
};

type RawCompose = {
  services: Record<string, RawService>;
  configs: Record<string, { file: string }>;
  secrets: Record<string, { file: string }>;
};

/** docker-compose.yml as a value, with its variables unchanged. */
export function parseCompose(): RawCompose {
  return parse(readFileSync(join(repository, 'docker-compose.yml'), 'utf8'), { merge: true });
}

/** The services of docker-compose.yml with these variables. Throws if a required one is missing. */
export function readCompose(variables: Readonly<Record<string, string>>): ComposeService[] {
  const compose = substitute(parseCompose(), variables) as RawCompose;
  return Object.entries(compose.services).map(([name, raw]) => serviceOf(name, raw, compose));
}

function serviceOf(name: string, raw: RawService, compose: RawCompose): ComposeService {
  const files = new Map<string, string>();
  const fileOf = (kind: 'configs' | 'secrets', source: string) => {
    const file = compose[kind][source]?.file;
    if (file === undefined)
      throw new Error(`compose: ${name} names ${source}, which does not exist`);
    return join(file.startsWith('/') ? '/' : repository, file);
  };
  for (const { source, target } of raw.configs ?? []) files.set(target, fileOf('configs', source));
  for (const each of raw.secrets ?? []) {
    const { source, target } = typeof each === 'string' ? { source: each, target: each } : each;
    const path = target.startsWith('/') ? target : `/run/secrets/${target}`;
    files.set(path, fileOf('secrets', source));
  }
  const environment = Object.entries(raw.environment ?? {});
  return {
    name,
    entrypoint: raw.entrypoint ?? [],
    command: raw.command ?? [],
    environment: Object.fromEntries(environment.map(([key, value]) => [key, String(value)])),
    isStarted: raw.profiles === undefined,
    workingDirectory: raw.working_dir ?? '/',
    files,
    volumes: new Map(
      (raw.volumes ?? []).map((each) => each.split(':').reverse() as [string, string]),
    ),
    network: /^service:(.*)$/.exec(raw.network_mode ?? '')?.[1] ?? name,
    healthCheck: raw.healthcheck?.test?.slice(1),
    after: new Map(
      Object.entries(raw.depends_on ?? {}).map(([other, { condition }]) => [
        other,
        condition === 'service_completed_successfully' ? 'ended' : 'healthy',
      ]),
    ),
  };
}

const variable = /\$\$|\$\{(\w+)(?::([-?])([^}]*))?\}/g;

/** Replaces `${NAME:-default}` and `${NAME:?}` in every text, like compose. */
function substitute(value: unknown, variables: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string') {
    return value.replaceAll(variable, (all, name, kind, rest) => {
      if (all === '$$') return '$';
      const found = variables[name] || (kind === '-' ? rest : undefined);
      if (found === undefined) throw new Error(`compose: ${name} is not set: ${rest ?? ''}`);
      return found;
    });
  }
  if (Array.isArray(value)) return value.map((each) => substitute(each, variables));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, substitute(each, variables)]),
  );
}
