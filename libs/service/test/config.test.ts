import { readFile } from 'node:fs/promises';
import { readConfig, variableOf } from '@silo/runtime/config.ts';
import test from 'ava';
import { leaseNumbersOf, serviceConfigSpec } from '../config.ts';
import { wantsTraces } from '../start-tracing.ts';

const world = { isReadable: () => true };
const env = {
  ...{ PUBLIC_ADDRESS: 'localhost:1', INTERNAL_ADDRESS: 'localhost:2' },
  ...{ TLS_CA: 'ca', TLS_CERT: 'cert', TLS_KEY: 'key' },
  ...{ MONGODB_URL: 'mongodb://a', NATS_URL: 'nats://a' },
  ...Object.fromEntries(
    ['org', 'project', 'token', 'billing'].map((name) => [
      variableOf(`${name}InternalAddress`),
      'localhost:3',
    ]),
  ),
};

function faultsOf(settings: Record<string, string>): string[] {
  const result = readConfig({ ...env, ...settings }, serviceConfigSpec, world);
  return 'faults' in result ? result.faults : [];
}

test('the default lease settings are valid', (t) => {
  const result = readConfig(env, serviceConfigSpec, world);
  if (!('config' in result)) return t.fail(result.faults.join());
  const numbers = leaseNumbersOf(result.config);
  t.deepEqual(numbers, { leaseMs: 5_000, renewMs: 2_000, driftShare: 0.01 });
});

test('leases that would lapse between renewals are refused at the start', (t) => {
  t.deepEqual(faultsOf({ LEASE_MS: '1000', LEASE_RENEW_MS: '495' }), []);
  const faults = faultsOf({ LEASE_MS: '1000', LEASE_RENEW_MS: '496' });
  t.is(faults.length, 1);
  t.regex(faults.join(), /LEASE_MS, LEASE_RENEW_MS .*half of a read lease/);
  t.is(faultsOf({ LEASE_DRIFT_SHARE: '0.5' }).length, 1);
});

test('a dangerous lease is reported together with the other faults', (t) => {
  const faults = faultsOf({ LEASE_MS: '1000', LEASE_RENEW_MS: '900', REGION: 'mars', SIGNUP: 'x' });
  t.is(faults.length, 3);
  t.is(faultsOf({ LEASE_DRIFT_SHARE: '0', LEASE_MS: '100000' }).length, 2);
});

test('other regions are a list of addresses, with each region once and without the own one', (t) => {
  const read = (value: string) =>
    readConfig({ ...env, REGION_ADDRESSES: value }, serviceConfigSpec, world);
  const addressesOf = (value: string) => {
    const result = read(value);
    return 'config' in result ? [...result.config.regionAddresses] : result.faults;
  };
  t.deepEqual(addressesOf(''), []);
  t.deepEqual(addressesOf('eu=project.eu.example:7202'), [['eu', 'project.eu.example:7202']]);
  t.deepEqual(addressesOf('eu=ipv4:127.0.0.1:1,127.0.0.1:2'), [
    ['eu', 'ipv4:127.0.0.1:1,127.0.0.1:2'],
  ]);
  for (const wrong of ['eu', 'eu=', 'mars=a:1', 'eu=a:1,eu=b:2', 'us=a:1', 'eu=a:1=b']) {
    t.is(faultsOf({ REGION_ADDRESSES: wrong }).length, 1, wrong);
  }
});

test('traces are off unless a variable of OpenTelemetry names their destination', (t) => {
  const isOn = (settings: Record<string, string>) => {
    const result = readConfig({ ...env, ...settings }, serviceConfigSpec, world);
    return 'config' in result && wantsTraces(result.config);
  };
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318' };
  t.false(isOn({}));
  t.true(isOn(endpoint));
  t.true(isOn({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://localhost:4318/v1/traces' }));
  t.true(isOn({ OTEL_TRACES_EXPORTER: 'otlp' }));
  t.false(isOn({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }));
  t.false(isOn({ ...endpoint, OTEL_SDK_DISABLED: 'true' }));
});

test('docs/configuration.md has a row for each setting, and no other rows', async (t) => {
  const page = await readFile(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
  const [, rows = ''] = /\| variable \|[^\n]*\n([\s\S]*?)\n\n/.exec(page) ?? [];
  const named = rows.split('\n').flatMap((row) => {
    const [, cell = ''] = row.split('|');
    return [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name);
  });
  t.deepEqual(named.sort(), Object.keys(serviceConfigSpec.shape).map(variableOf).sort());
});
