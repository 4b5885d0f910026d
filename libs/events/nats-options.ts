import { readFileSync } from 'node:fs';
import {
  type Authenticator,
  type ConnectionOptions,
  type TlsOptions,
  tokenAuthenticator,
} from 'nats';

/** How to reach NATS. */
export type NatsServers = {
  /**
   * One server or several, separated by commas, `nats://` or `tls://`. The first may carry a user
   * and a password (percent-encoded), or a token in the place of the user.
   */
  url: string;
  /** A file that holds the user's password. It is read for every connection, so it may change. */
  passwordFile?: string | undefined;
  /** PEM file of the authorities that may sign the server's certificate; default: those of Node. */
  caFile?: string | undefined;
};

/**
 * The client's options for these servers: nats.js itself reads no user and no password from a URL.
 * A user gets its own inbox prefix, `_INBOX.<user>`, to which it must be allowed to subscribe.
 * Throws for a URL that cannot be read, without quoting it.
 */
export function natsOptions({ url, passwordFile, caFile }: NatsServers): ConnectionOptions {
  const servers = url.split(',').map(parseServer);
  const [{ username: user, password } = { username: '', password: '' }] = servers;
  const usesTls = servers.some(({ protocol }) => protocol === 'tls:');
  const hasPassword = password !== '' || passwordFile !== undefined;
  const readPassword =
    passwordFile === undefined
      ? () => decodeURIComponent(password)
      : () => readFileSync(passwordFile, 'utf8').trim();
  const tls: TlsOptions = caFile === undefined ? {} : { caFile };
  return {
    servers: servers.map(({ host }) => host),
    ...(user !== '' && { authenticator: authenticate(decodeURIComponent(user), readPassword) }),
    ...(user !== '' && hasPassword && { inboxPrefix: `_INBOX.${decodeURIComponent(user)}` }),
    ...(usesTls || caFile !== undefined ? { tls } : {}),
    // Without it, the second refused login of a connection closes the client for good.
    ignoreAuthErrorAbort: true,
  };

  function authenticate(name: string, secret: () => string): Authenticator {
    return hasPassword ? () => ({ user: name, pass: secret() }) : tokenAuthenticator(name);
  }
}

function parseServer(text: string): URL {
  const server = text.trim();
  try {
    return new URL(server.includes('://') ? server : `nats://${server}`);
  } catch {
    // The error of URL quotes its input, including the password.
    throw new TypeError('a server of the NATS URL cannot be read; percent-encode its password');
  }
}
