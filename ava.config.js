export default {
  files: ['libs/**/test/**/*.test.ts', 'services/**/test/**/*.test.ts', 'test/**/*.test.ts'],
  extensions: { ts: 'module' },
  // Without any test ending: for a machine that is busy with much else.
  timeout: '5m',
  workerThreads: false,
};
