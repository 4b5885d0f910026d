import { newApiKey, newInviteCode, newProjectToken } from '@silo/tokens/secrets.ts';
import test from 'ava';
import { redactText } from '../redact.ts';

const [token, key, code] = [newProjectToken(), newApiKey(), newInviteCode()];

const texts: [what: string, text: string, redacted: string][] = [
  ['a project token', `a ${token}.`, 'a [redacted].'],
  ['an API key', `key=${key}`, 'key=[redacted]'],
  ['an invite code', `{"note":"${code}"}`, '{"note":"[redacted]"}'],
  ['secrets side by side', `${token}${key}`, '[redacted][redacted]'],
  ['what is too short for a secret', `${token.slice(0, -1)} x`, `${token.slice(0, -1)} x`],
  ['a bearer', 'bearer hunter2, x', 'Bearer [redacted] x'],
  ['a bearer in JSON', '"Bearer hunter2"', '"Bearer [redacted]"'],
  ['a bearer without a value', 'Bearer  ', 'Bearer  '],
  ['a URL with a user', 'https://silo:hunter2@a/b', 'https://[redacted]@a/b'],
  ['a URL behind a URL', 'x://a/y://silo:hunter2@b', 'x://a/y://[redacted]@b'],
  ['a URL without a user', 'https://a.example.com/b@c', 'https://a.example.com/b@c'],
  ['a URL without an end', 'https://silo:hunter2', 'https://silo:hunter2'],
  ['a URL of MongoDB', 'mongodb://s:p@a:1,b:2/?tls=true', 'mongodb://[redacted]@a:1,b:2/?tls=true'],
  ['a URL of NATS in capitals', 'NATS://s:p@a', 'NATS://[redacted]@a'],
  ['a password that is not encoded', 'mongodb+srv://s:p/a@b/c@h/d', 'mongodb+srv://[redacted]@h/d'],
  ['servers in a row', 'nats://a:p/1@h,nats://b:p/2@i', 'nats://[redacted]@i'],
  ['two URLs', 'nats://a:p/1@h tls://b:p/2@i', 'nats://[redacted]@h tls://[redacted]@i'],
  ['a URL of MongoDB without a user', 'mongodb://a:1/silo x@y', 'mongodb://a:1/silo x@y'],
];

for (const [what, text, redacted] of texts) {
  test(`the secrets in ${what} are redacted, and nothing else`, (t) => {
    t.is(redactText(text), redacted);
    t.is(redactText(redacted), redacted, 'and once more');
  });
}

// Searching it to its end from each place where a secret may begin would take an hour or more.
const beginnings = ['nats://', 'a.', 'a-', 'x://', 'x://u', 'a', 'Bearer ', 'Bearer', 'phc_', '@'];

for (const beginning of beginnings) {
  test(`2 MiB of ${JSON.stringify(beginning)} are searched once, and the secret behind them is redacted`, (t) => {
    const long = beginning.repeat(2 ** 21 / beginning.length);
    t.false(redactText(`${long} ${token}`).includes(token));
  });
}
