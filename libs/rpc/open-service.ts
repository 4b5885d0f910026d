import { type MethodDefinition, status } from '@grpc/grpc-js';

/**
 * A request of a service outside the `silo.` packages: grpc-js must not see bytes that do not
 * decode.
 */
export type Decoded<Request> = { request: Request } | { undecodable: true };

/** The response to bytes that do not decode. */
export const undecodableStatus = {
  code: status.INVALID_ARGUMENT,
  details: 'The request cannot be decoded. Send the request message of this method.',
};

/**
 * A method whose deserializer never throws: grpc-js would return a bare INTERNAL.
 */
export function tolerant<Request, Response>(
  method: MethodDefinition<Request, Response>,
): MethodDefinition<Decoded<Request>, Response> {
  return {
    ...method,
    requestSerialize: () => {
      throw new TypeError('only a client serializes requests');
    },
    requestDeserialize: (bytes) => {
      try {
        return { request: method.requestDeserialize(bytes) };
      } catch {
        return { undecodable: true };
      }
    },
  };
}
