// Runs the command like `npm start`, with stand-ins for the services. Argument: the state
// directory.
import { join } from 'node:path';
import { runUntilStopped } from '../run-until-stopped.ts';

const [directory] = process.argv.slice(2);
if (!directory) throw new Error('usage: run-silo.ts DIRECTORY');
await runUntilStopped({
  directory,
  freePorts: true,
  main: () => join(import.meta.dirname, 'fake-service.ts'),
});
