import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';

const chart = resolve(import.meta.dirname, '..', '..', 'deploy', 'helm', 'silo');
const timeoutMs = 60_000;
const outputBytesMax = 16 * 1_024 * 1_024;

/** An object in the form of Kubernetes. */
export type KubernetesObject = {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
  spec: Record<string, unknown>;
};

const required = [
  'mongodb.urlSecret=mongodb',
  'nats.hosts=a.nats:4222\\,b.nats:4223',
  'nats.passwordSecret=nats',
];

/** Settings of the chart that together render every line of it. */
export const settings: Readonly<Record<string, readonly string[]>> = {
  'only what is required': required,
  'everything on': [
    ...required,
    'mongodb.caSecret=mongodb-ca',
    'nats.caSecret=nats-ca',
    'certificates.issuer.name=ours',
    'certificates.issuer.kind=ClusterIssuer',
    'certificates.caSecret=authorities',
    'certificates.publicNames.org[0]=org.silo.example.com',
    'services.org.serviceType=LoadBalancer',
    'services.org.serviceAnnotations.example\\.com/internal=yes',
    'edge.trustedProxies[0]=10.0.0.0/8',
    'environment.LOG_LEVEL=debug',
    'environment.NATS_STREAM=OTHER',
    'environment.NATS_SUBJECT_PREFIX=other.v1',
    'regionAddresses.eu=project.eu.example:7444',
    'regionsCaSecret=regions-ca',
    'operator.enabled=true',
    'operator.schedule=0 6 * * *',
    'imagePullSecrets[0].name=registry',
    'nodeSelector.disk=ssd',
    'tolerations[0].key=silo',
    'tolerations[0].operator=Exists',
    'networkPolicy.publicFrom[0].ipBlock.cidr=10.0.0.0/8',
    'networkPolicy.internalFrom[0].podSelector.matchLabels.guard=silo',
    'networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring',
    'networkPolicy.mongodbTo[0].podSelector.matchLabels.app=mongodb',
    'networkPolicy.natsTo[0].podSelector.matchLabels.app=nats',
    'serviceMonitor.enabled=true',
    'serviceMonitor.labels.release=prometheus',
  ],
  'the least': [...required, 'edge.enabled=false', 'networkPolicy.enabled=false'],
  'an operator': [...required, 'operator.enabled=true'],
};

/** The errors that helm finds in the chart itself. */
export async function lint(helm: string, values: readonly string[]): Promise<string[]> {
  try {
    await run(helm, ['lint', '--strict', '--quiet', chart, ...setters(values)]);
    return [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

/** The objects that the chart renders. Rejects if helm cannot render it. */
export async function render(helm: string, values: readonly string[]): Promise<KubernetesObject[]> {
  const { stdout } = await run(helm, ['template', 'silo', chart, ...setters(values)]);
  return parseAllDocuments(stdout, { uniqueKeys: true }).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw new Error(`the chart renders no YAML: ${error.message}`);
    const object: KubernetesObject | null = document.toJS();
    return object === null ? [] : [object];
  });
}

function setters(values: readonly string[]): string[] {
  return values.flatMap((value) => ['--set', value]);
}

async function run(helm: string, args: string[]): Promise<{ stdout: string }> {
  return await promisify(execFile)(helm, args, {
    timeout: timeoutMs,
    maxBuffer: outputBytesMax,
    cwd: join(chart, '..'),
  });
}
