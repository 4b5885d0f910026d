/**
 * Runs Parse Server from a directory where npm has installed it, in a separate process. Sends its
 * parent its URL; ends with it.
 */
import { createServer, type RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';

export type PeerOptions = { directory: string; databaseUrl: string; applicationId: string };

type ParseServer = { start(): Promise<unknown>; app: RequestListener };
type ParseModule = { ParseServer: new (options: object) => ParseServer };

const { directory, databaseUrl, applicationId }: PeerOptions = JSON.parse(process.argv[2] ?? '');
const { ParseServer }: ParseModule = createRequire(join(directory, 'package.json'))('parse-server');

const server = createServer();
server.listen(0, '127.0.0.1', async () => {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new TypeError('it has no port');
  const serverURL = `http://127.0.0.1:${bound.port}`;
  const parse = new ParseServer({
    ...{ databaseURI: databaseUrl, serverURL, appId: applicationId, masterKey: 'unused' },
    ...{ allowClientClassCreation: true, silent: true, logsFolder: null },
  });
  await parse.start();
  server.on('request', parse.app);
  process.send?.(serverURL);
});
process.once('disconnect', () => process.exit());
