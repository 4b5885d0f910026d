// What `npm start` runs.
import { runUntilStopped } from './run-until-stopped.ts';

await runUntilStopped({ directory: process.env.SILO_DIRECTORY || '.silo' });
