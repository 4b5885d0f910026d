// Runs for `npm start`.
import { enableCompileCache, flushCompileCache } from 'node:module';
import { join } from 'node:path';

// Everything in the state directory is readable by its owner only.
process.umask(0o077);
const directory = process.env.SILO_DIRECTORY || '.silo';
enableCompileCache(join(directory, 'compile-cache'));
// Imported after the cache is enabled, so that the cache contains it.
const { runUntilStopped } = await import('./run-until-stopped.ts');
flushCompileCache();
await runUntilStopped({ directory });
