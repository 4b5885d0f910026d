import { deploymentSpec } from '@silo/doctor/deployment.ts';
import { readConfig, variableOf } from '@silo/runtime/config.ts';
import { serviceConfigSpec } from '@silo/service/config.ts';
import type { KubernetesObject } from './render.ts';

type Labels = Record<string, string>;
type Container = {
  env: { name: string; value: string }[];
  ports?: { name: string }[];
  volumeMounts: { name: string; mountPath: string }[];
};
type PodSpec = { containers: [Container]; volumes: Volume[] };
type PodTemplate = { metadata: { labels: Labels }; spec: PodSpec };
type Pod = { name: string; kind: string; labels: Labels; spec: PodSpec };
type Source = { secret: { name: string; items: { path: string }[] } };
type Volume = { name: string; secret?: { secretName: string }; projected?: { sources: Source[] } };
type Certificate = { secretName: string; dnsNames?: string[]; uris?: string[] };

/**
 * Checks that the objects fit together: selectors, ports, Secrets and the settings of the
 * processes.
 */
export function checkParts(objects: readonly KubernetesObject[]): string[] {
  const pods = objects.flatMap(podsOf);
  return [
    ...pods.flatMap((pod) => [...checkSettings(pod), ...checkMounts(pod)]),
    ...objects.flatMap((object) => checkSelector(object, pods)),
    ...checkCertificates(objects, pods),
    ...pods.filter(({ kind }) => kind === 'CronJob').flatMap((pod) => checkOperator(pod, pods)),
  ];
}

function podsOf({ kind, metadata: { name }, spec }: KubernetesObject): Pod[] {
  const template = templateOf(kind, spec);
  if (template === undefined) return [];
  return [{ name, kind, labels: template.metadata.labels, spec: template.spec }];
}

function templateOf(kind: string, spec: Record<string, unknown>): PodTemplate | undefined {
  if (kind === 'Deployment') return spec.template as PodTemplate;
  if (kind !== 'CronJob') return undefined;
  return (spec.jobTemplate as { spec: { template: PodTemplate } }).spec.template;
}

/**
 * Checks that the process would start with its variables: it knows them all, and their files are
 * mounted.
 */
function checkSettings({ name, kind, spec }: Pod): string[] {
  const [{ env, volumeMounts }] = spec.containers;
  const settings = kind === 'CronJob' ? deploymentSpec : serviceConfigSpec;
  const known = new Set([...Object.keys(settings.shape).map(variableOf), 'HOME']);
  const names = env.map((each) => each.name);
  const unknown = names.filter((each) => !known.has(each));
  const twice = names.filter((each, index) => names.indexOf(each) !== index);
  const isReadable = (file: string) =>
    volumeMounts.some(({ mountPath }) => file.startsWith(`${mountPath}/`));
  const environment = Object.fromEntries(env.map((each) => [each.name, each.value]));
  const result =
    kind === 'CronJob'
      ? readConfig(environment, deploymentSpec, { isReadable })
      : readConfig(environment, serviceConfigSpec, { isReadable });
  return [
    ...unknown.map((each) => `${name}: ${each} is not a setting`),
    ...twice.map((each) => `${name}: ${each} is set twice`),
    ...('faults' in result ? result.faults.map((fault) => `${name}: ${fault}`) : []),
  ];
}

/** Checks that each mount has a volume. */
function checkMounts({ name, spec }: Pod): string[] {
  const volumes = new Set(spec.volumes.map((volume) => volume.name));
  return spec.containers[0].volumeMounts
    .filter((mount) => !volumes.has(mount.name))
    .map((mount) => `${name}: there is no volume ${mount.name}`);
}

/** Checks that the selected pods exist, with the named ports. */
function checkSelector(object: KubernetesObject, pods: readonly Pod[]): string[] {
  const { kind, metadata, spec } = object;
  const selector = selectorOf(object);
  if (selector === undefined) return [];
  const selected = pods.filter(({ labels }) => matches(selector, labels));
  if (selected.length !== 1) return [`${kind} ${metadata.name} selects ${selected.length} pods`];
  const offered = selected.flatMap((pod) =>
    (pod.spec.containers[0].ports ?? []).map((port) => port.name),
  );
  const ports = [
    ...((spec.ports ?? []) as { targetPort: string }[]).map((port) => port.targetPort),
    ...((spec.ingress ?? []) as { ports: { port: string }[] }[]).flatMap((rule) =>
      rule.ports.map((each) => each.port),
    ),
  ];
  return ports
    .filter((port) => !offered.includes(port))
    .map((port) => `${kind} ${metadata.name}: its pods have no port ${port}`);
}

function selectorOf({ kind, spec }: KubernetesObject): Labels | undefined {
  const { selector, podSelector } = spec as Record<string, { matchLabels?: Labels } | undefined>;
  if (kind === 'Service') return selector as Labels | undefined;
  if (kind === 'ServiceMonitor') return undefined;
  return (podSelector ?? selector)?.matchLabels;
}

function matches(selector: Labels, labels: Labels): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}

/**
 * Checks that each process mounts the certificate of its own role, and that certificates contain
 * the names of its peers.
 */
function checkCertificates(objects: readonly KubernetesObject[], pods: readonly Pod[]): string[] {
  const certificates = objects
    .filter(({ kind }) => kind === 'Certificate')
    .map(({ spec }) => spec as Certificate);
  const issued = new Map(certificates.map((each) => [each.secretName, each]));
  const named = new Set(certificates.flatMap(({ dnsNames = [] }) => dnsNames));
  return pods.flatMap((pod) => {
    const { name, spec } = pod;
    const volume = spec.volumes.find((each) => each.name === 'tls');
    const sources = volume?.projected?.sources.map((each) => each.secret) ?? [];
    const secret = volume?.secret?.secretName ?? sources[0]?.name ?? '';
    const files = sources.flatMap(({ items }) => items.map(({ path }) => path)).toSorted();
    const peers = spec.containers[0].env.filter((each) => each.name.endsWith('_INTERNAL_ADDRESS'));
    return [
      ...(sources.length === 0 || String(files) === 'ca.crt,tls.crt,tls.key'
        ? []
        : [`${name}: its volume tls has ${files.join(', ')}`]),
      ...checkRole(pod, secret, issued.get(secret)),
      ...peers
        .map(({ value }) => value.split(':')[0] ?? '')
        .filter((host) => !named.has(host))
        .map((host) => `${name}: no certificate names ${host}`),
    ];
  });
}

/**
 * Checks that the certificate of a process names the process: the name alone decides what it may
 * call.
 */
function checkRole({ name, kind, labels }: Pod, secret: string, issued?: Certificate): string[] {
  if (issued === undefined) return [`${name}: no certificate is issued as ${secret}`];
  const role = kind === 'CronJob' ? 'staff' : 'service';
  const own = `spiffe://silo.internal/us/${role}/${labels['app.kubernetes.io/component']}`;
  const uris = issued.uris ?? [];
  if (uris.length === 1 && uris[0] === own) return [];
  return [`${name}: its certificate is of ${uris.join(', ')}, not of ${own}`];
}

/**
 * Checks that `silo doctor` has the same settings as project for locating things, but its own
 * addresses and users.
 */
function checkOperator({ name, spec }: Pod, pods: readonly Pod[]): string[] {
  const known = Object.keys(deploymentSpec.shape).map(variableOf);
  const project = pods.find(({ labels }) => labels['app.kubernetes.io/component'] === 'project');
  const expected = (project?.spec.containers[0].env ?? []).filter(
    (each) => known.includes(each.name) && !/^NATS_URL$|_INTERNAL_ADDRESS$/.test(each.name),
  );
  const { env } = spec.containers[0];
  return expected
    .filter((each) => env.find((own) => own.name === each.name)?.value !== each.value)
    .map((each) => `${name}: ${each.name} is not ${each.value}, as of project`);
}
