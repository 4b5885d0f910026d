import { type MethodDefinition, status } from '@grpc/grpc-js';

/** A request of a service outside of our own packages: grpc-js itself must not meet bad bytes. */
export type Decoded<Request> = { request: Request } | { undecodable: true };

/** What such a service answers to bytes that do not decode. */
export const undecodableStatus = {
  code: status.INVALID_ARGUMENT,
  details: 'The request does not decode. Send the message that the method documents.',
};

/**
 * A method whose deserializer never throws: grpc-js answers a throw there with a bare INTERNAL.
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
