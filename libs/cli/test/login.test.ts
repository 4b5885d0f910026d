import test from 'ava';
import { login } from '../commands/login.ts';

test('the help of login names the scope that the key needs', (t) => {
  let help = '';
  const command = login({} as never).configureOutput({
    writeOut: (text) => {
      help += text;
    },
  });
  command.outputHelp();
  t.regex(help, /account:read/);
  t.regex(help, /silo keys create NAME --scope account:read/);
});
