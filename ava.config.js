/**
 * The longest files start first, so that none runs alone at the end: those that check times beside
 * the simulation, which only computes, with low priority.
 */
const first = ['guards.test', 'simulation.test', 'outages.test'];
const place = (file) => {
  const index = first.findIndex((name) => file.includes(name));
  return index === -1 ? first.length : index;
};

export default {
  files: ['libs/**/test/**/*.test.ts', 'services/**/test/**/*.test.ts', 'test/**/*.test.ts'],
  extensions: { ts: 'module' },
  // Without any test ending: for what hangs, not for what is slow.
  timeout: '20m',
  workerThreads: false,
  sortTestFiles: (a, b) => place(a) - place(b) || (a < b ? -1 : 1),
};
