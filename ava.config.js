import { availableParallelism } from 'node:os';

/** What takes longest begins first, so that nothing runs alone at the end. */
const longest = ['simulation.test', 'outages.test', 'kill-move-project.test', 'kill-batch.test'];
/** But for what judges RPCs by the time that they take: little is left to run beside it. */
const timed = 'guards.test';
const place = (file) => {
  if (file.includes(timed)) return Number.POSITIVE_INFINITY;
  const index = longest.findIndex((name) => file.includes(name));
  return index === -1 ? longest.length : index;
};

export default {
  files: ['libs/**/test/**/*.test.ts', 'services/**/test/**/*.test.ts', 'test/**/*.test.ts'],
  extensions: { ts: 'module' },
  // Without any test ending: for a machine that is busy with much else.
  timeout: '5m',
  workerThreads: false,
  // Tests wait for servers about as long as they compute.
  concurrency: Math.ceil(1.5 * availableParallelism()),
  sortTestFiles: (a, b) => {
    const [one, other] = [place(a), place(b)];
    return one === other ? (a < b ? -1 : 1) : one - other;
  },
};
