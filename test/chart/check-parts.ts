import { readConfig, variableOf } from '@silo/runtime/config.ts';
import { serviceConfigSpec } from '@silo/service/config.ts';
import type { KubernetesObject } from './render.ts';

type Labels = Record<string, string>;
type Container = {
  env: { name: string; value: string }[];
  ports: { name: string }[];
  volumeMounts: { name: string; mountPath: string }[];
};
type PodSpec = { containers: [Container]; volumes: { name: string }[] };
type Pod = { name: string; labels: Labels; spec: PodSpec };

/** Whether the objects fit together: selectors, ports, Secrets and the settings of the processes. */
export function checkParts(objects: readonly KubernetesObject[]): string[] {
  const pods = objects.filter(({ kind }) => kind === 'Deployment').map(podOf);
  const settings = new Set(Object.keys(serviceConfigSpec.shape).map(variableOf));
  return [
    ...pods.flatMap((pod) => [...checkSettings(pod, settings), ...checkMounts(pod)]),
    ...objects.flatMap((object) => checkSelector(object, pods)),
    ...checkCertificates(objects, pods),
  ];
}

function podOf({ metadata, spec }: KubernetesObject): Pod {
  const { template } = spec as { template: { metadata: { labels: Labels }; spec: PodSpec } };
  return { name: metadata.name, labels: template.metadata.labels, spec: template.spec };
}

/** The process would start with its variables: it knows them all, and their files are mounted. */
function checkSettings({ name, spec }: Pod, settings: ReadonlySet<string>): string[] {
  const [{ env, volumeMounts }] = spec.containers;
  const names = env.map((each) => each.name);
  const unknown = names.filter((each) => !settings.has(each));
  const twice = names.filter((each, index) => names.indexOf(each) !== index);
  const isReadable = (file: string) =>
    volumeMounts.some(({ mountPath }) => file.startsWith(`${mountPath}/`));
  const environment = Object.fromEntries(env.map((each) => [each.name, each.value]));
  const result = readConfig(environment, serviceConfigSpec, { isReadable });
  return [
    ...unknown.map((each) => `${name}: ${each} is no setting`),
    ...twice.map((each) => `${name}: ${each} is set twice`),
    ...('faults' in result ? result.faults.map((fault) => `${name}: ${fault}`) : []),
  ];
}

/** Each mount has its volume. */
function checkMounts({ name, spec }: Pod): string[] {
  const volumes = new Set(spec.volumes.map((volume) => volume.name));
  return spec.containers[0].volumeMounts
    .filter((mount) => !volumes.has(mount.name))
    .map((mount) => `${name}: there is no volume ${mount.name}`);
}

/** What an object selects is there, with the ports that it names. */
function checkSelector(object: KubernetesObject, pods: readonly Pod[]): string[] {
  const { kind, metadata, spec } = object;
  const selector = selectorOf(object);
  if (selector === undefined) return [];
  const selected = pods.filter(({ labels }) => matches(selector, labels));
  if (selected.length !== 1) return [`${kind} ${metadata.name} selects ${selected.length} pods`];
  const offered = selected.flatMap((pod) => pod.spec.containers[0].ports.map((port) => port.name));
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

/** Each process has the certificate that it mounts, and its peers are names of certificates. */
function checkCertificates(objects: readonly KubernetesObject[], pods: readonly Pod[]): string[] {
  const certificates = objects
    .filter(({ kind }) => kind === 'Certificate')
    .map(({ spec }) => spec as { secretName: string; dnsNames?: string[] });
  const issued = new Set(certificates.map(({ secretName }) => secretName));
  const named = new Set(certificates.flatMap(({ dnsNames = [] }) => dnsNames));
  return pods.flatMap(({ name, spec }) => {
    const volumes = spec.volumes as { name: string; secret?: { secretName: string } }[];
    const secret = volumes.find((volume) => volume.name === 'tls')?.secret?.secretName ?? '';
    const peers = spec.containers[0].env.filter((each) => each.name.endsWith('_INTERNAL_ADDRESS'));
    return [
      ...(issued.has(secret) ? [] : [`${name}: nobody issues ${secret}`]),
      ...peers
        .map(({ value }) => value.split(':')[0] ?? '')
        .filter((host) => !named.has(host))
        .map((host) => `${name}: no certificate names ${host}`),
    ];
  });
}
