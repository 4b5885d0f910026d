/** What takes longest begins first, so that nothing runs alone at the end. */
const longest = ['guards.test', 'outages.test', 'kill-move-project.test', 'kill-batch.test'];
const place = (file) => {
  const index = longest.findIndex((name) => file.includes(name));
  return index === -1 ? longest.length : index;
};

export default {
  files: ['libs/**/test/**/*.test.ts', 'services/**/test/**/*.test.ts', 'test/**/*.test.ts'],
  extensions: { ts: 'module' },
  // Without any test ending: for a machine that is busy with much else.
  timeout: '5m',
  workerThreads: false,
  sortTestFiles: (a, b) => place(a) - place(b) || (a < b ? -1 : 1),
};
