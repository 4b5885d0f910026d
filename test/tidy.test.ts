import { readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { basename, join } from 'node:path';
import test from 'ava';

/** The house rules that a test can check, each with the alternative. */
type HouseRule = {
  rule: string;
  instead: string;
  /** The files that the rule applies to. */
  files: RegExp;
  except?: RegExp;
  /** No line may match this. */
  forbidden: RegExp;
};

const anyTest = /(^|\/)test\//;

const houseRules: HouseRule[] = [
  {
    rule: 'libraries never import services',
    instead: 'pass what the library needs as a parameter',
    files: /^libs\//,
    forbidden: /from '@silo\/(org|project|token|billing)-service/,
  },
  {
    rule: 'services never import each other',
    instead: 'call the other service’s internal RPC',
    files: /^services\//,
    except: anyTest,
    forbidden: /from '(@silo\/\w+-service|\.\.\/\.\.\/(\.\.\/)?(org|project|token|billing)\/)/,
  },
  {
    rule: 'rules do no I/O and read no clock or chance',
    instead: 'take facts, time and randomness as parameters',
    files: /^services\/\w+\/rules\//,
    forbidden:
      /from '(node:(fs|net|http|child_process|timers)|mongodb|nats|@grpc\/|@silo\/(mongo|log\/(?!decode-event)|events|rpc|saga|service))|Math\.random\(|Date\.now\(|new Date\(\)|\bawait\b/,
  },
  {
    rule: 'MongoDB is touched only in stores and the libraries for it',
    instead: 'add a method to the service’s store',
    files: /^(services|libs)\//,
    except:
      /^services\/\w+\/store\/|^libs\/(admin|mongo|log|saga|embedded|service|events|doctor)\/|(^|\/)test\//,
    forbidden: /from 'mongodb'/,
  },
  {
    rule: 'stores take the transaction, not its session',
    instead: 'pass tx',
    files: /^services\/\w+\/store\//,
    except: /^services\/token\/store\/(leases|message-keys)\.ts$/,
    forbidden: /\bsession\??: ClientSession\b/,
  },
  {
    rule: 'one test file sets fail points on the MongoDB that all test files share',
    instead: 'move it to libs/log/test/lost-answers.test.ts: another file’s would replace them',
    files: /^(services|libs|test)\//,
    // The fault tests and those of libs/embedded have their own mongod.
    except: /^libs\/log\/test\/lost-answers\.test\.ts$|^libs\/embedded\/|^test\/(faults\/|tidy)/,
    forbidden: /configureFailPoint/,
  },
  {
    rule: 'the MongoDB driver gets no signal, at which it would close a pooled connection',
    instead: 'race it: reading(query, signal)',
    files: /^(services\/\w+\/store|libs\/(mongo|log|saga))\//,
    except: anyTest,
    forbidden:
      /\.(find(One\w*)?|aggregate|(count|insert|update|replace|delete)\w+|bulkWrite|command)\([^)]*\bsignal\b/,
  },
  {
    rule: 'no call rests on timeoutMS, which the MongoDB driver ignores',
    instead: 'race it against a timer',
    files: /^(services|libs)\//,
    except: anyTest,
    forbidden: /^(?!\s*(\/\/|\/?\*)).*\btimeoutMS\b/,
  },
  {
    rule: 'NATS is touched only in libs/events',
    instead: 'use what libs/events offers',
    files: /^(services|libs)\//,
    except: /^libs\/(events|embedded|doctor)\/|(^|\/)test\//,
    forbidden: /from 'nats'/,
  },
  {
    rule: 'tests do not sleep',
    instead: 'wait for the condition with eventually()',
    // A component under test may be given a sleep; a test and its support do not await one.
    files: /\.test\.ts$|^(libs|services)\/.*\/test\//,
    except: /^libs\/(runtime|embedded)\/|tidy\.test\.ts$/,
    forbidden: /\bsetTimeout\(|timers\/promises|\bawait systemSleep\(/,
  },
  {
    rule: 'no test is skipped, alone, or expected to fail',
    instead: 'mend it or delete it',
    files: /\.test\.ts$/,
    except: /tidy\.test\.ts$/,
    forbidden: /\btest(\.serial)?\.(skip|only|failing|todo)\b/,
  },
  {
    rule: 'types are not switched off',
    instead: 'say what it is, or narrow it',
    files: /\.ts$/,
    except: /tidy\.test\.ts$/,
    forbidden: /^(?!\s*(\/\/|\/?\*)).*(:\s*any\b|\bas any\b)|@ts-(ignore|nocheck|expect-error)/,
  },
  {
    rule: 'comments fit in 100 columns',
    instead: 'wrap them: the formatter wraps only code',
    files: /\.(ts|mjs)$/,
    forbidden: /^(?=\s*(\/?\*|\/\/)).{101}/,
  },
  {
    rule: 'nothing is left for later in a comment',
    instead: 'do it, or open an issue',
    files: /\.(ts|mjs|proto)$/,
    except: /tidy\.test\.ts$|^protos\/(google|buf|grpc)\//,
    forbidden: /\b(TODO|FIXME|XXX|HACK)\b/,
  },
  {
    rule: 'services and libraries log through the logger',
    instead: 'use the log that you were given',
    files: /^(services|libs)\//,
    except: /^libs\/(admin|embedded|protos|runtime|cli)\/|(^|\/)test\//,
    forbidden: /\bconsole\.\w+\(/,
  },
];

/** A longer file has more than one concept. */
const fileLinesMax = 400;

const root = join(import.meta.dirname, '..');

async function sources(): Promise<string[]> {
  const found: string[] = [];
  const patterns = ['libs/**/*.{ts,mjs}', 'services/**/*.ts', 'test/**/*.ts', 'protos/**/*.proto'];
  for await (const file of glob(patterns, { cwd: root })) {
    if (!/(^|\/)(node_modules|gen)\//.test(file)) found.push(file);
  }
  return found.sort();
}

async function documents(): Promise<string[]> {
  const found: string[] = [];
  const patterns = ['*.md', '{deploy,docs,findings,libs,test}/**/*.md'];
  for await (const file of glob(patterns, { cwd: root })) {
    if (!/(^|\/)node_modules\//.test(file)) found.push(file);
  }
  return found.sort();
}

function linesOf(file: string): string[] {
  return readFileSync(join(root, file), 'utf8').split('\n');
}

for (const { rule, instead, files, except, forbidden } of houseRules) {
  test(`${rule}: ${instead}`, async (t) => {
    const broken: string[] = [];
    let looked = 0;
    for (const file of await sources()) {
      if (!files.test(file) || except?.test(file)) continue;
      looked++;
      linesOf(file).forEach((line, index) => {
        if (forbidden.test(line)) broken.push(`${file}:${index + 1}: ${line.trim()}`);
      });
    }
    t.true(looked > 0, 'the rule looks at no file');
    t.deepEqual(broken, []);
  });
}

/** Words that this code base once used with its own meaning. */
const coinedWords =
  /(?<![A-Za-z])([Tt]ell(s|ing|ers?)?|[Tt]old|[Hh]ear(s|d|ing)?|[Ww]hoever|[Vv]ouch\w*|[Bb]eliev\w*|[Jj]udg\w*)(?![a-z])|(?<=[a-z])(Tell(s|er)?|Told|Hear(s|d)?|Judge)(?![a-z])|\bwell again\b|\b([Ii]s|[Aa]re|was|were) asked\b/;

test('names, comments and documents use the standard terms: report, receive, check, request', async (t) => {
  const pages = await documents();
  t.true(pages.length > 20);
  const except = /tidy\.test\.ts$|^protos\/(google|buf|grpc)\//;
  const found = [...(await sources()), ...pages]
    .filter((file) => !except.test(file))
    .flatMap((file) =>
      linesOf(file)
        .map((line, index) => ({ line, at: `${file}:${index + 1}` }))
        .filter(({ line }) => coinedWords.test(line))
        .map(({ line, at }) => `${at}: ${line.trim()}`),
    );
  t.deepEqual(found, []);
});

/**
 * The lines of a document's tables that are not rows, or have a different number of cells than the
 * first.
 */
function brokenRows(lines: readonly string[]): string[] {
  let cells: number | undefined;
  let isCode = false;
  return lines.filter((line) => {
    if (line.trimStart().startsWith('```')) isCode = !isCode;
    const isRow = !isCode && line.startsWith('|');
    const found = isRow ? line.replaceAll(/`[^`]*`|\\\|/g, '').split('|').length : undefined;
    const isBroken = cells !== undefined && line.trim() !== '' && found !== cells;
    cells = isRow ? (cells ?? found) : undefined;
    return isBroken;
  });
}

test('tables of documents have complete rows', async (t) => {
  const broken = (await documents()).flatMap((file) => brokenRows(linesOf(file)));
  t.deepEqual(broken, []);
  t.deepEqual(brokenRows(['| a | b |', '| c `|` |', ' d | e |', '', '| f |']), [
    '| c `|` |',
    ' d | e |',
  ]);
});

test('a file of code holds one concept: split what is longer', async (t) => {
  const long = (await sources())
    .filter((file) => /^(libs|services)\/.*\.ts$/.test(file) && !anyTest.test(file))
    .map((file) => ({ file, lines: linesOf(file).length }))
    .filter(({ lines }) => lines > fileLinesMax);
  t.deepEqual(long, []);
});

/** The packages that the code of each package imports, without its tests. */
async function packageImports(): Promise<Map<string, Set<string>>> {
  const imports = new Map<string, Set<string>>();
  for (const file of await sources()) {
    const [, from] = /^((?:libs|services)\/[\w-]+)\/.*\.ts$/.exec(file) ?? [];
    if (from === undefined || anyTest.test(file)) continue;
    const imported = imports.get(from) ?? new Set();
    imports.set(from, imported);
    for (const line of linesOf(file)) {
      const [, name] = /(?:from |import\()'@silo\/([\w-]+)\//.exec(line) ?? [];
      if (name === undefined) continue;
      const service = /^(\w+)-service$/.exec(name)?.[1];
      const to = service === undefined ? `libs/${name}` : `services/${service}`;
      if (to !== from) imported.add(to);
    }
  }
  return imports;
}

/**
 * Packages by layer, each importing only lower layers; `cyclic` are the packages without a layer.
 */
function layersOf(imports: ReadonlyMap<string, ReadonlySet<string>>) {
  const layers: string[][] = [];
  const placed = new Set<string>();
  const left = new Set(imports.keys());
  while (left.size > 0) {
    const layer = [...left].filter((name) => {
      return [...(imports.get(name) ?? [])].every((imported) => placed.has(imported));
    });
    if (layer.length === 0) break;
    for (const name of layer) {
      placed.add(name);
      left.delete(name);
    }
    layers.push(layer);
  }
  return { layers, cyclic: [...left] };
}

test('packages import each other in layers: move what two of them share into a lower one', async (t) => {
  const { layers, cyclic } = layersOf(await packageImports());
  t.deepEqual(cyclic, []);
  t.log(layers.map((layer) => layer.join(' ')).join('\n'));
});

test('an import cycle between packages is found', (t) => {
  const imports = new Map([
    ['libs/low', new Set<string>()],
    ['libs/a', new Set(['libs/low', 'libs/b'])],
    ['libs/b', new Set(['libs/a'])],
  ]);
  t.deepEqual(layersOf(imports), { layers: [['libs/low']], cyclic: ['libs/a', 'libs/b'] });
});

test('every service has its events, messages, wiring, rules, store and tests in the same places', async (t) => {
  const found = new Set(
    (await sources()).flatMap((file) => /^services\/\w+\/[\w-]+(\.ts|\/)/.exec(file)?.[0] ?? []),
  );
  const places = ['events.ts', 'main.ts', 'messages.ts', 'service.ts'];
  places.push('handlers/', 'rules/', 'store/', 'test/');
  const expected = ['billing', 'org', 'project', 'token'].flatMap((service) =>
    places.map((place) => `services/${service}/${place}`),
  );
  t.deepEqual(
    expected.filter((place) => !found.has(place)),
    [],
  );
});

test('a public RPC is found by its name: handlers/update-project.ts exports updateProject', async (t) => {
  const handlers = (await sources()).filter((file) =>
    /^services\/\w+\/handlers\/[\w-]+\.ts$/.test(file),
  );
  const misnamed = handlers.filter((file) => {
    const name = basename(file, '.ts').replaceAll(/-(\w)/g, (_, letter) => letter.toUpperCase());
    return (
      name !== 'dependencies' &&
      !linesOf(file).some((line) => new RegExp(`^export async function\\*? ${name}\\(`).test(line))
    );
  });
  t.true(handlers.length > 40);
  t.deepEqual(misnamed, []);
});

test('a violated house rule is found', (t) => {
  const sleeping = houseRules.find(({ rule }) => rule === 'tests do not sleep');
  for (const line of ['  setTimeout(done, 10);', 'while (!done) await systemSleep(10);']) {
    t.regex(line, sleeping?.forbidden ?? /^$/);
  }
  for (const line of ['// Tells the guard.', 'onHeard()', 'whoever asks', 'the owner is asked']) {
    t.regex(line, coinedWords);
  }
  t.notRegex('// The heartbeat of a constellation.', coinedWords);
});
