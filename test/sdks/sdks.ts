/**
 * `npm run test:sdks`: sends events to a Silo with unmodified SDKs of other languages, and checks
 * what is stored while the network, the token or MongoDB fails. A language whose toolchain is not
 * installed is left out. The last line is `N passed, N failed, N languages left out`, and the exit
 * code is 1 if anything failed.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeWhole, startFaultSilo } from '../faults/fault-silo.ts';
import { obtainBinaries } from '../harness/servers.ts';
import { checks } from './checks.ts';
import { install, isPresent, languages } from './languages.ts';

const usage = `npm run test:sdks -- [--only LANGUAGE]... [--folder FOLDER]
  --only LANGUAGE   ${languages.map(({ name }) => name).join(', ')}; may be repeated
  --folder FOLDER   where the SDKs are installed, and stay (a temporary folder)`;

process.exitCode = await main();

async function main(): Promise<number> {
  const options = parse();
  if (options === undefined) {
    console.error(usage);
    return 2;
  }
  await using started = new AsyncDisposableStack();
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'silo-sdks-')));
  await mkdir(folder, { recursive: true });
  if (options.folder === undefined) {
    started.defer(() => rm(folder, { recursive: true, force: true }));
  }
  Object.assign(process.env, await obtainBinaries(() => {}));
  const silo = started.use(await startFaultSilo({ edges: 0 }));
  const edgeUrl = silo.edges[0]?.url ?? '';
  const counts = { passed: 0, failed: 0, absent: 0 };
  for (const language of languages) {
    const { name, sdk, needs } = language;
    if (options.only.length > 0 && !options.only.includes(name)) continue;
    if (!(await isPresent(language))) {
      console.log(`${sdk} is left out: install ${needs}`);
      counts.absent++;
      continue;
    }
    console.log(sdk);
    const attempt = async <T>(what: string, run: () => Promise<T>): Promise<T | undefined> => {
      try {
        const result = await run();
        counts.passed++;
        console.log(`  ✔ ${what}`);
        return result;
      } catch (error) {
        counts.failed++;
        console.log(`  ✘ ${what}\n${error instanceof Error ? error.stack : error}`);
        return undefined;
      }
    };
    const program = await attempt('is installed', () => install(language, folder));
    if (program === undefined) continue;
    for (const check of checks) {
      await attempt(check.what, async () => {
        await makeWhole(silo);
        await check.run({ silo, edgeUrl, language, program });
      });
    }
  }
  const { passed, failed, absent } = counts;
  console.log(`${passed} passed, ${failed} failed, ${absent} languages left out`);
  return failed > 0 ? 1 : 0;
}

function parse(): { only: string[]; folder: string | undefined } | undefined {
  try {
    const { values } = parseArgs({
      options: { only: { type: 'string', multiple: true }, folder: { type: 'string' } },
    });
    const { only = [], folder } = values;
    const known = languages.map<string>(({ name }) => name);
    if (only.some((name) => !known.includes(name))) return undefined;
    return { only, folder: folder && resolve(folder) };
  } catch {
    return undefined;
  }
}
