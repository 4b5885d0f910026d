// What `npm start` runs.
import { enableCompileCache, flushCompileCache } from 'node:module';
import { join } from 'node:path';

// Everything in the state directory is for its owner alone.
process.umask(0o077);
const directory = process.env.SILO_DIRECTORY || '.silo';
enableCompileCache(join(directory, 'compile-cache'));
// Imported after that, so that the cache holds it.
const { runUntilStopped } = await import('./run-until-stopped.ts');
flushCompileCache();
await runUntilStopped({ directory });
