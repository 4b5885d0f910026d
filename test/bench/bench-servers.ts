import { join } from 'node:path';
import {
  type CertificateRole,
  issueCertificate,
  openCertificateAuthority,
} from '@silo/embedded/certificates.ts';
import { type Mongod, startMongod } from '@silo/embedded/mongod.ts';
import { type NatsServer, startNatsServer } from '@silo/embedded/nats-server.ts';
import { obtain } from '@silo/embedded/obtain.ts';
import { type Silo, startSilo } from '@silo/embedded/silo.ts';
import type { TlsFiles } from '@silo/rpc/tls.ts';
import { type StartedBuild, startBuild, unpackBuild } from './build.ts';
import { type EdgeApart, startEdgeApart } from './edge-apart.ts';
import { warmUp } from './warm-up.ts';

const region = 'us';
/** The subjects of the services' events. */
export const subjectPrefix = 'silo.v1';
const warmUpRoundsDefault = 300;
const manyCalls = '1000000000';

/** The deployment that rows measure. Each part is started when the first row needs it. */
export class Bench implements AsyncDisposable {
  readonly directory: string;
  /** Number of events that rows about stored events query; undefined: each row's own number. */
  readonly events: number | undefined;
  /** Number of cutovers that rows about them measure; undefined: each row's own number. */
  readonly cutovers: number | undefined;
  readonly #warmUpRounds: number;
  readonly #started = new AsyncDisposableStack();
  #mongod: Promise<Mongod> | undefined;
  #nats: Promise<NatsServer> | undefined;
  #silo: Promise<Silo> | undefined;
  readonly #against: string | undefined;
  #againstBuild: Promise<string> | undefined;

  /**
   * `directory` contains all files of the run; `against` is a commit; `warmUpRounds` are those of
   * the services.
   */
  constructor(
    directory: string,
    {
      against,
      events,
      cutovers,
      warmUpRounds = warmUpRoundsDefault,
    }: {
      against?: string | undefined;
      events?: number | undefined;
      cutovers?: number | undefined;
      warmUpRounds?: number | undefined;
    } = {},
  ) {
    this.directory = directory;
    this.events = events;
    this.cutovers = cutovers;
    this.#warmUpRounds = warmUpRounds;
    this.#against = against;
  }

  /** Runs `npm start` of a build. It is stopped at the latest at the end of the run. */
  startBuild(build: string, state: string): Promise<StartedBuild> {
    return startBuild(build, state, (stop) => this.#started.defer(stop));
  }

  /** The directory of the build of the commit to compare with. */
  againstBuild(): Promise<string> {
    if (this.#against === undefined) throw new TypeError('no commit to compare with was named');
    this.#againstBuild ??= unpackBuild(this.#against, join(this.directory, 'against'));
    return this.#againstBuild;
  }

  /** The connection string of the one mongod for all rows and their floors. */
  async mongodb(): Promise<string> {
    this.#mongod ??= this.#startMongod();
    return (await this.#mongod).url;
  }

  /** The URL of the one nats-server for all rows and their floors. */
  async nats(): Promise<string> {
    this.#nats ??= this.#startNats();
    return (await this.#nats).url;
  }

  /** The process ids of the shared servers. */
  async serverPids(): Promise<{ mongod: number; nats: number }> {
    const [mongod, nats] = [await this.#mongod, await this.#nats];
    if (mongod === undefined || nats === undefined) throw new TypeError('they are not started');
    return { mongod: mongod.pid, nats: nats.pid };
  }

  /** The four services as separate processes on those servers, after they have warmed up. */
  silo(): Promise<Silo> {
    this.#silo ??= this.#startSilo();
    return this.#silo;
  }

  /** An HTTP edge in a separate process, in addition to those services. The caller stops it. */
  async startEdge(): Promise<EdgeApart> {
    const silo = await this.silo();
    const [mongod, nats] = [await this.#mongod, await this.#nats];
    if (mongod === undefined || nats === undefined) throw new TypeError('they are not started');
    return await startEdgeApart({
      ...{ silo, mongod, nats, environment: environmentOfServices() },
      tls: await this.certificate('service', 'project'),
      staff: await this.certificate('staff', 'bench'),
      directory: join(this.directory, 'edge-apart'),
    });
  }

  /** A certificate of the services' own CA, for another client. */
  async certificate(role: CertificateRole, name: string): Promise<TlsFiles> {
    const directory = join(this.directory, 'silo', 'certificates');
    const authority = await openCertificateAuthority(directory, { region });
    const { certificate: cert, key } = await issueCertificate(authority, { role, name });
    return { ca: authority.certificateFile, cert, key };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#started.disposeAsync();
  }

  async #startMongod(): Promise<Mongod> {
    const { path: binary } = await obtain('mongod', { log: report });
    // With the settings of `npm start`.
    const mongod = await startMongod({ binary, directory: join(this.directory, 'mongodb') });
    return this.#started.use(mongod);
  }

  async #startNats(): Promise<NatsServer> {
    const { path: binary } = await obtain('nats-server', { log: report });
    const nats = await startNatsServer({ binary, directory: join(this.directory, 'nats') });
    return this.#started.use(nats);
  }

  async #startSilo(): Promise<Silo> {
    this.#mongod ??= this.#startMongod();
    this.#nats ??= this.#startNats();
    const servers = { mongodb: await this.#mongod, nats: await this.#nats };
    const silo = await startSilo({
      directory: join(this.directory, 'silo'),
      log: quiet,
      environment: environmentOfServices(),
      servers,
      freePorts: true,
    });
    this.#started.use(silo);
    await warmUp(silo, this.#warmUpRounds);
    return silo;
  }
}

function environmentOfServices(): NodeJS.ProcessEnv {
  const { MONGODB_URL, NATS_URL, ...inherited } = process.env;
  return {
    ...{ ...inherited, REGION: region, NATS_SUBJECT_PREFIX: subjectPrefix },
    // One account makes all calls of a row, at the highest rate that the machine can serve.
    ...{ RATE_ACCOUNT_CALLS: manyCalls, RATE_ORGANIZATION_CALLS: manyCalls },
  };
}

/**
 * A first run may download for a while; this is printed separately from the table on standard
 * output.
 */
function report(line: string): void {
  console.error(line);
}

/** The lines about ports and processes are dropped. */
function quiet(): void {}
