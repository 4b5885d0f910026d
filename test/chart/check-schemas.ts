import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Certificate } from '@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate';
import { Issuer } from '@kubernetes-models/cert-manager/cert-manager.io/v1/Issuer';
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import { CronJob } from 'kubernetes-models/batch/v1/CronJob';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { Service } from 'kubernetes-models/v1/Service';
import type { KubernetesObject } from './render.ts';

type Model = { validate(): void };

/** The kinds of objects that the chart may render: the module of each, and its validator. */
const kinds: Readonly<Record<string, [string, new (object: never) => Model]>> = {
  'cert-manager.io/v1/Certificate': ['@kubernetes-models/cert-manager', Certificate],
  'cert-manager.io/v1/Issuer': ['@kubernetes-models/cert-manager', Issuer],
  'monitoring.coreos.com/v1/ServiceMonitor': [
    '@kubernetes-models/prometheus-operator',
    ServiceMonitor,
  ],
  'apps/v1/Deployment': ['kubernetes-models', Deployment],
  'batch/v1/CronJob': ['kubernetes-models', CronJob],
  'autoscaling/v2/HorizontalPodAutoscaler': ['kubernetes-models', HorizontalPodAutoscaler],
  'networking.k8s.io/v1/NetworkPolicy': ['kubernetes-models', NetworkPolicy],
  'policy/v1/PodDisruptionBudget': ['kubernetes-models', PodDisruptionBudget],
  'v1/Service': ['kubernetes-models', Service],
};

/** The errors by the schema of an object's kind: missing fields and wrong values. */
export function checkValues(object: KubernetesObject): string[] {
  const { apiVersion, kind, metadata } = object;
  const [, model] = kinds[`${apiVersion}/${kind}`] ?? [];
  if (model === undefined) return [`${apiVersion} ${kind} is not known to test/chart`];
  try {
    new model(object as never).validate();
    return [];
  } catch (error) {
    return [`${kind} ${metadata.name}: ${error instanceof Error ? error.message : error}`];
  }
}

/**
 * Finds fields that do not exist, which the validators accept: the compiler reports them in
 * literals of the types.
 */
export async function checkFields(objects: readonly KubernetesObject[]): Promise<string[]> {
  const imports = Object.entries(kinds).map(([kind, [module]]) => {
    return `import type { I${kind.split('/').at(-1)} } from '${module}/${kind}';`;
  });
  const values = objects.map((object, index) => {
    return `export const _${index}: I${object.kind} = ${JSON.stringify(object, null, 1)};`;
  });
  // Inside of the repository, so that the compiler finds the modules.
  const directory = await mkdtemp(join(import.meta.dirname, '.rendered-'));
  try {
    const file = join(directory, 'objects.ts');
    await writeFile(file, [...imports, ...values].join('\n'));
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--ignoreConfig'];
    const modules = [
      '--module',
      'nodenext',
      '--moduleResolution',
      'nodenext',
      '--target',
      'es2024',
    ];
    const compiler = resolve('node_modules', '.bin', 'tsc');
    await promisify(execFile)(compiler, [...options, ...modules, file]);
    return [];
  } catch (error) {
    const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
    if (output === '') throw error;
    return output.trim().split('\n');
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
