/** A link requires TLS from a `tls://` server, and a certificate of its CA. */
import { createLogger } from '@silo/runtime/log.ts';
import test, { type ExecutionContext } from 'ava';
import { certificate, certificates } from '../../../test/harness/certificates.ts';
import { startComposeNats } from '../../../test/harness/compose-nats.ts';
import { required } from '../../../test/harness/environment.ts';
import { eventually } from '../../../test/harness/eventually.ts';
import { connectNats } from '../connect.ts';

const { ca } = certificate('service-token');
const otherCa = certificate('service-token', `${certificates()}/other`).ca;

/** A link, and the lines that it logs. */
function open(t: ExecutionContext, url: string, caFile: string) {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLogger({ service: 'test', region: 'us', level: 'info', destination });
  const link = connectNats({ ...{ url, caFile }, name: 'test', log });
  t.teardown(() => link[Symbol.asyncDispose]());
  const logged = (pattern: RegExp) =>
    eventually(() => {
      const line = lines.find((each) => pattern.test(each));
      if (line === undefined) throw new Error(lines.at(-1));
      return line;
    });
  return { link, logged };
}

test('a server whose certificate is of another CA is refused, and the log says why', async (t) => {
  const nats = await startComposeNats(t);
  const url = nats.urlOf('org');
  const { link, logged } = open(t, url, otherCa);
  const line = await logged(/NATS is refused: its certificate .* NATS_TLS_CA/);
  t.false(link.connected.value);
  t.false(line.includes(nats.passwordOf('org')));
  const own = open(t, url, nats.ca);
  await own.link.ready(AbortSignal.timeout(600_000));
  t.true(own.link.connected.value);
});

test('a server without TLS is refused with tls://, and with nats:// and a CA file', async (t) => {
  for (const scheme of ['tls', 'nats']) {
    const url = required('NATS_URL').replace(/^nats/, scheme);
    const { link, logged } = open(t, url, ca);
    await logged(/NATS is refused: it offers no TLS/);
    t.false(link.connected.value);
  }
});
