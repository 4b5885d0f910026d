import { deploymentSpec } from '@silo/doctor/deployment.ts';
import { variableOf } from '@silo/runtime/config.ts';
import test from 'ava';
import { readCompose } from './compose.ts';

test('doctor uses project’s addresses in compose, and its own users', (t) => {
  const regions = 'eu=project.eu.example:7202';
  const services = readCompose({
    ...{ SILO_SECRETS: '/secrets', SILO_USER: '0:0' },
    SILO_REGION_ADDRESSES: regions,
  });
  const environmentOf = (name: string) => {
    const known = Object.keys(deploymentSpec.shape).map(variableOf);
    const environment = services.find((each) => each.name === name)?.environment ?? {};
    return Object.fromEntries(
      known.filter((each) => each in environment).map((each) => [each, environment[each]]),
    );
  };
  const { NATS_URL: _, ...ofProject } = environmentOf('project');
  t.is(ofProject.REGION_ADDRESSES, regions);
  t.like(environmentOf('operator'), ofProject);
});
