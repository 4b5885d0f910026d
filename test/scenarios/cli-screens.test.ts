import { readFile, writeFile } from 'node:fs/promises';
import type { ExecutionContext } from 'ava';
import { type CliHome, emptyHome } from '../harness/cli.ts';
import type { TestSilo } from '../harness/silo.ts';
import { billingDetails, scenarios } from './support.ts';

// Checks the screens in the README or, with UPDATE_SCREENS=1, writes them there.

const test = scenarios();

const readme = new URL('../../libs/cli/README.md', import.meta.url);
const columns = 80;

const commands = [
  'silo projects',
  'silo move Website --to Acme --preview',
  'silo moves',
  'silo activity --limit 4',
  'silo keys show ci',
  'silo plan show',
];

/** Ada, with a project in one of her organizations that was moved once, and back. */
async function home(t: ExecutionContext<{ silo: TestSilo }>): Promise<CliHome> {
  const ada = await emptyHome(t);
  const words = ['--email', 'ada@example.com', '--name', 'Ada', '--organization', 'Example'];
  const { organization } = await ada.json(['signup', '--dev', ...words]);
  await ada.json(['keys', 'create', 'ci', '--scope', 'project:read']);
  const { organization: acme } = await ada.json(['org', 'create', 'Acme']);
  const details = { ...billingDetails, companyName: 'Example Ltd', email: 'billing@example.com' };
  for (const org of [String(organization?.id), String(acme?.id)]) {
    const { companyName, email, address, countryCode } = details;
    const given = ['--company', companyName, '--email', email, '--address', address];
    await ada.json(['plan', 'billing-details', ...given, '--country', countryCode, '--org', org]);
    await ada.json(['plan', 'change', 'pay-as-you-go', '--yes', '--org', org]);
  }
  await ada.json(['project', 'create', 'Website', '--org', 'Example']);
  await ada.json(['switch', 'Website']);
  const { planFingerprint } = await ada.json(['move', 'Website', '--to', 'Acme', '--preview']);
  const agreed = ['--yes', '--fingerprint', String(planFingerprint)];
  await ada.json(['move', 'Website', '--to', 'Acme', ...agreed]);
  await ada.json(['undo', 'Website', '--yes']);
  return ada;
}

/** The screen with the parts that differ from run to run replaced, in the same width. */
function settled(screen: string): string {
  return screen
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d/g, '2027-01-31 12:00')
    .replace(/phx_\.\.\.\w{4}/g, 'phx_...Xy12')
    .replace(/^fingerprint {2}\w{12}$/m, 'fingerprint  0123456789ab')
    .replace(/^fingerprint \w\S+(\n\S+)*$/m, 'fingerprint 1f2e3d4c…');
}

test('the screens in the README are those of the command', async (t) => {
  const ada = await home(t);
  const screens: string[] = [];
  for (const command of commands) {
    const [, ...words] = command.split(' ');
    const terminal = ada.inTerminal(words, { NO_COLOR: '1' }, columns);
    t.is(await terminal.ended, 0, terminal.screen());
    screens.push(`$ ${command}\n${settled(terminal.screen())}`);
  }
  const text = await readFile(readme, 'utf8');
  const begin = '<!-- screens -->\n';
  const [before = '', after = ''] = text.split(begin);
  const rest = after.slice(after.indexOf('<!-- end of screens -->'));
  const shown = `${before}${begin}\`\`\`\n${screens.join('\n\n')}\n\`\`\`\n${rest}`;
  if (process.env.UPDATE_SCREENS) await writeFile(readme, shown);
  t.is(await readFile(readme, 'utf8'), shown);
});
