// Runs as a separate process, so that a stalled download can be ended. Argument: the directory to
// download to. Prints the path of the binary as its last line.
import { DryMongoBinary } from 'mongodb-memory-server-core/lib/util/DryMongoBinary.js';
import { MongoBinary } from 'mongodb-memory-server-core/lib/util/MongoBinary.js';
import { DEFAULT_VERSION } from 'mongodb-memory-server-core/lib/util/resolveConfig.js';

const [downloadDir] = process.argv.slice(2);
if (!downloadDir) throw new Error('usage: download-mongod.ts DIRECTORY');
try {
  const options = await DryMongoBinary.generateOptions({ downloadDir, version: DEFAULT_VERSION });
  console.log(`\n${await MongoBinary.download({ ...options, downloadDir, checkMD5: true })}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
