import { join } from 'node:path';
import { type OwnedProcess, startProcess } from '@silo/embedded/processes.ts';
import type { ServiceName } from '@silo/service/config.ts';
import { compileCache, portOf } from '../../harness/processes.ts';
import { type Disturbance, TcpProxy } from '../../harness/tcp-proxy.ts';
import type { Cluster } from './cluster.ts';

/** The services that a guard connects to. */
export const links = ['nats', 'org', 'project', 'token'] as const;
export type LinkName = (typeof links)[number];

type Options = {
  name: string;
  /** Its number, which selects the replicas that it uses. */
  number: number;
  /** The unix socket for its control messages. */
  controlPath: string;
  /** Directory of the histories. */
  histories: string;
  /** The protection that is switched off in it. */
  without: string | undefined;
};

/** One guard process, which a test can kill, stop and disconnect. */
export class Guard implements AsyncDisposable {
  readonly name: string;
  /** The files of its processes' histories; checked files are removed. */
  histories: string[] = [];
  /** Processes that ended by themselves. */
  readonly failures: Error[] = [];
  readonly #cluster: Cluster;
  readonly #options: Options;
  readonly #proxies: Record<LinkName, TcpProxy>;
  #pages = 0;
  #process: OwnedProcess | undefined;

  private constructor(cluster: Cluster, options: Options, proxies: Record<LinkName, TcpProxy>) {
    this.name = options.name;
    this.#cluster = cluster;
    this.#options = options;
    this.#proxies = proxies;
  }

  static async prepare(cluster: Cluster, options: Options): Promise<Guard> {
    const internalPorts = (name: ServiceName) =>
      cluster.services[name].map(({ internalAddress }) => portOf(internalAddress));
    const [nats, org, project, token] = await Promise.all([
      TcpProxy.start([Number(new URL(cluster.natsUrl).port)]),
      TcpProxy.start(internalPorts('org')),
      TcpProxy.start(internalPorts('project')),
      TcpProxy.start(internalPorts('token'), options.number),
    ]);
    return new Guard(cluster, options, { nats, org, project, token });
  }

  async start(): Promise<void> {
    const { name, controlPath, without } = this.#options;
    const { directory, certificates } = this.#cluster;
    const { ca, cert, key } = certificates.guard;
    const started = await startProcess({
      name,
      command: process.execPath,
      args: [join(import.meta.dirname, 'guard-main.ts')],
      directory: join(directory, 'guards', name),
      logFile: join(directory, 'logs', `${name}.log`),
      environment: {
        ...process.env,
        NODE_COMPILE_CACHE: compileCache,
        GUARD_NAME: name,
        GUARD_CONTROL: controlPath,
        GUARD_HISTORY: this.newPage(),
        GUARD_WITHOUT: without ?? '',
        NATS_URL: throughProxy(this.#cluster.natsServer.urlOf('guard'), this.#proxies.nats.address),
        ORG_INTERNAL_ADDRESS: this.#proxies.org.address,
        PROJECT_INTERNAL_ADDRESS: this.#proxies.project.address,
        TOKEN_INTERNAL_ADDRESS: this.#proxies.token.address,
        TLS_CA: ca,
        TLS_CERT: cert,
        TLS_KEY: key,
      },
    });
    this.#process = started;
    started.exited.then((exit) => {
      if (this.#process === started) this.failures.push(started.exitError(exit));
    });
  }

  /** A further file for its history. */
  newPage(): string {
    const file = join(this.#options.histories, `${this.name}-${++this.#pages}`);
    this.histories.push(file);
    return file;
  }

  /** Kills it, like a power cut; returns when it has ended. */
  async kill(): Promise<void> {
    const killed = this.#process;
    this.#process = undefined;
    killed?.kill('SIGKILL');
    await killed?.exited;
  }

  stop(): void {
    this.#process?.kill('SIGSTOP');
  }

  goOn(): void {
    this.#process?.kill('SIGCONT');
  }

  disturb(names: readonly LinkName[], disturbance: Disturbance): void {
    for (const name of names) this.#proxies[name].disturb(disturbance);
  }

  heal(): void {
    for (const name of links) this.#proxies[name].heal();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const last = this.#process;
    this.#process = undefined;
    this.heal();
    await last?.stop({ graceMs: 5_000 });
    await Promise.all(links.map((name) => this.#proxies[name][Symbol.asyncDispose]()));
  }
}

/** The same URL with user and password, at a proxy's address. */
function throughProxy(url: string, address: string): string {
  const proxied = new URL(url);
  proxied.host = address;
  return proxied.href;
}
