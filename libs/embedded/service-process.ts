import type { CertificateFiles } from './certificates.ts';
import { untilHealth } from './health.ts';
import { type Exit, type OwnedProcess, type StopOptions, startProcess } from './processes.ts';

const servingWithinMs = 120_000;
/**
 * Under the load of a start, V8 lets the young generation grow to 48 MB (three semi-spaces) and
 * does not shrink it again. Most services are as fast with 6 MB. Project holds bodies and pages of
 * events, which would survive too many collections of a space that small, so it gets V8's default.
 */
const semiSpaceMb = (name: string) => (name === 'project' ? 16 : 2);
/** One glibc heap for all threads: with one for each, a service takes 18 MB more. */
const memoryEnvironment = { MALLOC_ARENA_MAX: '1' };
const fatalSignals: readonly NodeJS.Signals[] = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGABRT'];

export interface ServiceProcessOptions {
  name: string;
  /** The file that Node runs. */
  main: string;
  workingDirectory: string;
  /** Directory of the process record. */
  directory: string;
  logFile: string;
  environment: NodeJS.ProcessEnv;
  /** `host:port`. */
  publicAddress: string;
  internalAddress: string;
  ca: string;
  /** Certificate for asking the internal port whether it serves. */
  staff: CertificateFiles;
  /** Called if the process ends without being stopped. */
  onUnexpectedExit: (error: Error) => void;
}

/** One of the four services, which a test can kill and start again. */
export class ServiceProcess {
  readonly name: string;
  readonly publicAddress: string;
  readonly internalAddress: string;
  readonly logFile: string;
  readonly #options: ServiceProcessOptions;
  #process: OwnedProcess | undefined;
  #exitExpected = false;

  constructor(options: ServiceProcessOptions) {
    this.#options = options;
    this.name = options.name;
    this.publicAddress = options.publicAddress;
    this.internalAddress = options.internalAddress;
    this.logFile = options.logFile;
  }

  get pid(): number | undefined {
    return this.#process?.running ? this.#process.pid : undefined;
  }

  /** Resolves when the current process has ended. */
  get exited(): Promise<Exit> {
    return this.#process?.exited ?? Promise.resolve({ code: null, signal: null });
  }

  /** Starts the process and returns when both of its ports answer SERVING. */
  async start(signal?: AbortSignal): Promise<void> {
    const { name, main, onUnexpectedExit, environment, ...options } = this.#options;
    this.#exitExpected = false;
    const started = await startProcess({
      ...options,
      environment: { ...memoryEnvironment, ...environment },
      name: `service ${name}`,
      command: process.execPath,
      args: [`--max-semi-space-size=${semiSpaceMb(name)}`, '--expose-gc', main],
    });
    this.#process = started;
    started.exited.then((exit) => {
      if (this.#process === started && !this.#exitExpected) {
        onUnexpectedExit(started.exitError(exit));
      }
    });
    await started.whileRunning((over) => this.untilServing(over), signal);
  }

  /** Returns when both ports answer SERVING. */
  async untilServing(signal?: AbortSignal): Promise<void> {
    const patience = { withinMs: servingWithinMs, ...(signal ? { signal } : {}) };
    // One after the other suffices, because both ports open at the same time.
    for (const port of this.#ports()) await untilHealth('SERVING', port, patience);
  }

  /** Returns when both ports answer NOT_SERVING. */
  async untilNotServing(withinMs: number): Promise<void> {
    const patience = { withinMs };
    await Promise.all(this.#ports().map((port) => untilHealth('NOT_SERVING', port, patience)));
  }

  #ports() {
    const { ca, staff } = this.#options;
    return [
      { address: this.publicAddress, ca },
      { address: this.internalAddress, ca, ...staff },
    ];
  }

  /**
   * Sends a signal. After a fatal one, the exit of the process is expected and stops nothing else.
   */
  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    if (fatalSignals.includes(signal)) this.#exitExpected = true;
    this.#process?.kill(signal);
  }

  /** Stops the process and starts it again on the same ports. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async stop(options?: StopOptions): Promise<void> {
    this.#exitExpected = true;
    await this.#process?.stop(options);
  }
}
