import { Client, Metadata, type MethodDefinition } from '@grpc/grpc-js';
import { clientCredentials, type TlsFiles } from '@silo/rpc/tls.ts';
import type { Load } from './measure.ts';

const callsInFlight = 32;
const deadlineMs = 10_000;

/** One method with its request, and the expected answer. */
export type CalledMethod<Request, Response> = {
  method: MethodDefinition<Request, Response>;
  request: Request;
  isGood?: (response: Response | undefined) => boolean;
};

/** Bare grpc-js as a client over mTLS: 32 calls in flight on one connection. */
export function callLoad<Request, Response>(
  address: string,
  tls: TlsFiles,
  { method, request, isGood = () => true }: CalledMethod<Request, Response>,
): Load & Disposable {
  // The certificate names both; an address cannot be a server name in TLS.
  const options = { 'grpc.ssl_target_name_override': 'localhost' };
  const client = new Client(address, clientCredentials(tls), options);
  const { path, requestSerialize, responseDeserialize } = method;
  const operation = () =>
    new Promise<void>((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        new Metadata(),
        { deadline: Date.now() + deadlineMs },
        (error, response) => {
          if (error !== null) reject(error);
          else if (isGood(response)) resolve();
          else reject(new Error(`${path} was not answered as it should be`));
        },
      );
    });
  return { clients: callsInFlight, operation, [Symbol.dispose]: () => client.close() };
}
