// Starts a child that sleeps for long, prints its pid, and waits to be killed. Argument: the
// directory.
import { join } from 'node:path';
import { startProcess } from '../processes.ts';

const [directory] = process.argv.slice(2);
if (!directory) throw new Error('usage: run-sleeper.ts DIRECTORY');
const { pid } = await startProcess({
  name: 'sleeper',
  command: 'sleep',
  args: ['600'],
  directory,
  logFile: join(directory, 'sleeper.log'),
});
console.log(pid);
setInterval(() => {}, 60_000);
