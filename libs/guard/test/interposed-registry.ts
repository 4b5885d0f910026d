import { Server, status } from '@grpc/grpc-js';
import {
  type RegistryServiceServer,
  RegistryServiceService,
} from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import { serverCredentials } from '@silo/rpc/tls.ts';
import type { ExecutionContext } from 'ava';
import { certificate } from '../../../test/harness/certificates.ts';
import type { TestSilo } from '../../../test/harness/silo.ts';

/** A server in front of the registry that holds or fails a guard's calls as the test demands. */
export class InterposedRegistry {
  address = '';
  /** Number of calls of Release that fail before one is passed on. */
  failingReleases = 0;
  readonly #held: (() => Promise<void>)[] = [];
  readonly #server = new Server();

  /** Passes calls on as `guard-edge`, except for Acquire, which it holds. Ends with the test. */
  static async start(t: ExecutionContext, silo: TestSilo): Promise<InterposedRegistry> {
    const interposed = new InterposedRegistry();
    await interposed.#start(silo);
    t.teardown(() => interposed.#server.forceShutdown());
    return interposed;
  }

  get held(): number {
    return this.#held.length;
  }

  /** Passes on the calls that were held, even if nobody waits for their answers. */
  async passHeld(): Promise<void> {
    await Promise.all(this.#held.splice(0).map((pass) => pass()));
  }

  async #start(silo: TestSilo): Promise<void> {
    const registry = silo.internal(certificate('guard-edge')).token.registry;
    const service: Pick<RegistryServiceServer, 'acquire' | 'renew' | 'release'> = {
      acquire: ({ request }, answer) => {
        this.#held.push(() =>
          registry.acquire(request).then((reply) => answer(null, reply), answer),
        );
      },
      renew: ({ request }, answer) => {
        registry.renew(request).then((reply) => answer(null, reply), answer);
      },
      release: ({ request }, answer) => {
        if (this.failingReleases-- > 0) answer({ code: status.UNAVAILABLE });
        else registry.release(request).then((reply) => answer(null, reply), answer);
      },
    };
    const { acquire, renew, release } = RegistryServiceService;
    this.#server.addService({ acquire, renew, release }, service);
    const credentials = serverCredentials(certificate('service-token'), true);
    this.address = await new Promise((resolve, reject) => {
      this.#server.bindAsync('127.0.0.1:0', credentials, (error, port) => {
        if (error) reject(error);
        else resolve(`127.0.0.1:${port}`);
      });
    });
  }
}
