import { board } from '@silo/embedded/board.ts';
import test from 'ava';
import { createProgram } from '../program.ts';

const at = { public: 'localhost:1', internal: 'localhost:2', metrics: 'localhost:3' };
const pair = { cert: '/state/it.pem', key: '/state/it.key' };
const endpoints = {
  ...{ region: 'us', ca: '/state/ca.pem', staff: pair, guard: { ...pair, nats: 'nats://host' } },
  services: { org: at, project: at, token: at, billing: at },
  ...{ edge: 'http://localhost:4', mongodb: 'mongodb://host', nats: 'nats://host' },
};

function advised(endpointsFile: string): string[] {
  const text = board(endpoints, endpointsFile, { directory: '/here', pid: 42 });
  return [...text.matchAll(/^ +npx silo (.*?) *(?:#.*)?$/gm)].map(([, words = '']) => words);
}

test('npm start advises only command lines that the command accepts', async (t) => {
  const lines = advised('/here/.silo/endpoints.json');
  t.true(lines.length > 3);
  for (const line of lines) {
    const program = createProgram(() => ({}) as never).hook('preAction', () => {
      throw new Error('reached');
    });
    const parsing = program.parseAsync(line.split(' '), { from: 'user' });
    await t.throwsAsync(parsing, { message: line === 'help' ? '(outputHelp)' : 'reached' }, line);
  }
});

test('the command lines that npm start advises find the Silo that it started', (t) => {
  t.true(advised('/here/.silo/endpoints.json').includes('doctor --dev'));
  t.true(
    advised('/elsewhere/endpoints.json').includes('doctor --endpoints /elsewhere/endpoints.json'),
  );
});
