export default {
  files: ['libs/**/test/**/*.test.ts', 'services/**/test/**/*.test.ts', 'test/**/*.test.ts'],
  extensions: { ts: 'module' },
  timeout: '2m',
  workerThreads: false,
};
