import test from 'ava';
import {
  configOrExit,
  decimal,
  file,
  formatHostPort,
  hostPort,
  integer,
  oneOf,
  readConfig,
  type Setting,
  string,
  url,
  variableOf,
} from '../config.ts';

const world = { isReadable: (path: string) => path === '/there' };
const shape = {
  region: oneOf('us', 'eu').default('us'),
  mongodbUrl: url('mongodb', 'mongodb+srv'),
  publicAddress: hostPort(),
  metricsAddress: hostPort().optional(),
  tlsKeyFile: file(),
  poolSizeMax: integer({ min: 1, max: 100 }).default(10),
  name: string().optional(),
};

test('a whole environment becomes a typed config, defaults included', (t) => {
  const env = {
    MONGODB_URL: 'mongodb://user:hunter2@a:1,b:2/?replicaSet=rs',
    PUBLIC_ADDRESS: '[::1]:0',
    TLS_KEY_FILE: '/there',
    POOL_SIZE_MAX: '20',
    UNRELATED: 'x',
  };
  const result = readConfig(env, { shape }, world);
  if (!('config' in result)) return t.fail(result.faults.join('\n'));
  const { config } = result;
  // These lines compile only if each setting has its own type.
  const region: 'us' | 'eu' = config.region;
  const metrics: { host: string; port: number } | undefined = config.metricsAddress;
  t.is(region, 'us');
  t.is(metrics, undefined);
  t.is(config.mongodbUrl, env.MONGODB_URL);
  t.deepEqual(config.publicAddress, { host: '::1', port: 0 });
  t.is(config.poolSizeMax, 20);
  t.is(config.name, undefined);
});

test('all faults are reported together, by variable, in the order of the shape', (t) => {
  const env = {
    REGION: 'mars',
    PUBLIC_ADDRESS: 'nowhere',
    TLS_KEY_FILE: '/gone',
    POOL_SIZE_MAX: '0',
  };
  t.deepEqual(readConfig(env, { shape }, world), {
    faults: [
      'REGION is not one of us, eu',
      'MONGODB_URL is not set; expected a URL that begins with mongodb:// or mongodb+srv://, user and password percent-encoded',
      'PUBLIC_ADDRESS is not host:port',
      'TLS_KEY_FILE is not the path of a readable file',
      'POOL_SIZE_MAX is not a whole number from 1 to 100',
    ],
  });
});

test('an empty variable counts as unset', (t) => {
  t.deepEqual(readConfig({ REGION: '' }, { shape: { region: shape.region } }), {
    config: { region: 'us' },
  });
});

test('no fault quotes a value, because it may be a password in the wrong variable', (t) => {
  const env = Object.fromEntries(Object.keys(shape).map((key) => [variableOf(key), 'hunter2 ']));
  const result = readConfig(env, { shape }, world);
  if (!('faults' in result)) return t.fail('faults were expected');
  t.is(result.faults.length, 6);
  t.false(result.faults.join().includes('hunter2'));
});

const table: [string, Setting<unknown>, string[], string[]][] = [
  [
    'a number',
    integer({ min: -5, max: 5 }),
    ['-5', '0', '05'],
    ['6', '1.5', '1e0', '', ' 1', '0x1'],
  ],
  [
    'a decimal number',
    decimal({ min: 0.001, max: 5 }),
    ['0.001', '1', '5.0'],
    ['0', '-1', '5.1', '.5', '1e0', '', ' 1', 'NaN'],
  ],
  [
    'an address',
    hostPort(),
    ['a.b:1', '0.0.0.0:65535', '[::]:9'],
    ['a', ':1', 'a:65536', '::1:9', 'a:1:2'],
  ],
  [
    'a URL',
    url('nats', 'tls'),
    [
      ...['nats://a', 'tls://a:1,b:2', 'nats://user:p%40ss@a:1,b:2', 'nats://token@a'],
      ...['tls://[::1]:4222', 'nats://a/?x=1,2'],
    ],
    [
      ...['a', 'http://a', 'nats://', 'nats:///x', 'nats://a b', 'nats://@a', 'nats://u:p@'],
      ...[
        'nats://user:pa/ss@a',
        'nats://user:pa@ss@a',
        'nats://user:pa?ss@a',
        'nats://u:p:q@a',
        'nats://u:100%@a',
      ],
    ],
  ],
];

for (const [what, setting, good, bad] of table) {
  test(`${what} is read strictly`, (t) => {
    for (const raw of good) t.true('value' in setting.parse(raw, world), raw);
    for (const raw of bad) t.true('fault' in setting.parse(raw, world), raw);
  });
}

test('an address is unchanged after it is parsed and formatted', (t) => {
  for (const text of ['localhost:1', '[::1]:443']) {
    const parsed = hostPort().parse(text, world);
    t.is('value' in parsed ? formatHostPort(parsed.value) : undefined, text);
  }
});

test('a process with an invalid configuration prints every fault and exits with code 2', (t) => {
  const lines: string[] = [];
  const host = {
    env: { REGION: 'mars' },
    print: (line: string) => lines.push(line),
    exit: (code: number): never => {
      throw new Error(`exit ${code}`);
    },
  };
  const faulty = { region: shape.region, publicAddress: shape.publicAddress };
  t.throws(() => configOrExit({ shape: faulty }, host), { message: 'exit 2' });
  t.deepEqual(lines, [
    'The configuration has 2 fault(s):',
    '  REGION is not one of us, eu',
    '  PUBLIC_ADDRESS is not set; expected host:port',
  ]);
  t.deepEqual(configOrExit({ shape: { region: shape.region } }, { ...host, env: {} }), {
    region: 'us',
  });
});
