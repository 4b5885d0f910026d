import { Outcome } from '@silo/mongo/mutation.ts';
import type { Call, Handler } from './call.ts';
import { Encoded } from './encoded.ts';

/** Implements one server-streaming method. Ends by returning; fails by throwing. */
export type StreamHandler<Request, Response, Dependencies = undefined> = (
  request: Request,
  call: Call,
  dependencies: Dependencies,
) => AsyncIterable<Response | Encoded>;

/**
 * The part of a generated `XxxService` object that is used here. Written as methods, so that an
 * object with specific messages is assignable to one with unknown messages.
 */
type Method<Request, Response> = {
  path: string;
  requestStream: boolean;
  responseStream: boolean;
  requestSerialize(value: Request): Buffer;
  requestDeserialize(bytes: Buffer): Request;
  responseSerialize(value: Response): Buffer;
};

type Definition = Record<string, Method<unknown, unknown>>;

/** One handler for each method of the definition, named like the method. */
export type Handlers<Service extends Definition, Dependencies = undefined> = {
  [Name in keyof Service]: Service[Name] extends Method<infer Request, infer Response>
    ? Service[Name]['responseStream'] extends true
      ? StreamHandler<Request, Response, Dependencies>
      : Handler<Request, Response, Dependencies>
    : never;
};

/** An encoded response, and what was decided with it, if that is known. */
export type Answered = {
  answer: Uint8Array;
  outcome: Pick<Outcome<unknown>, 'eventIds' | 'keepsAccess'> | undefined;
};

/** One method with its handler, without its message types. */
export type MountedMethod = {
  path: string;
  decode(bytes: Buffer): unknown;
  /** The canonical bytes of the request: without unknown fields, in the order of field numbers. */
  encodeRequest(request: unknown): Buffer;
} & (
  | { streams: false; handle(request: unknown, call: Call): Promise<Answered> }
  | { streams: true; handle(request: unknown, call: Call): AsyncIterable<Buffer> }
);

/** A service with its handlers. */
export type Mounted = { serviceName: string; methods: MountedMethod[] };

/**
 * Binds a generated `XxxService` to its handlers, and these to their dependencies. A missing or an
 * additional handler does not compile. A handler has its method's name, which stack traces and
 * profiles then show.
 */
export function mount<Service extends Definition, Dependencies = undefined>(
  service: Service,
  handlers: Handlers<NoInfer<Service>, NoInfer<Dependencies>>,
  ...[dependencies]: undefined extends Dependencies ? [] : [Dependencies]
): Mounted {
  const methods = Object.entries(service).map(([name, method]) =>
    mountMethod(name, method, handlers[name as keyof Service], dependencies),
  );
  const [, serviceName] = methods[0]?.path.split('/') ?? [];
  if (serviceName === undefined) throw new TypeError('a service without methods');
  return { serviceName, methods };
}

function mountMethod(
  name: string,
  method: Method<unknown, unknown>,
  handler: unknown,
  dependencies: unknown,
): MountedMethod {
  if (method.requestStream) throw new TypeError(`${method.path}: client streams are not served`);
  if (typeof handler !== 'function') throw new TypeError(`${method.path} has no handler`);
  if (handler.name !== name) throw new TypeError(`${method.path}: its handler is ${handler.name}`);
  const common = {
    path: method.path,
    decode: method.requestDeserialize,
    encodeRequest: method.requestSerialize,
  };
  const encode = (response: unknown) =>
    response instanceof Encoded ? response.bytes : method.responseSerialize(response);
  if (method.responseStream) {
    const encodeAll = async function* (request: unknown, call: Call) {
      const responses = handler(request, call, dependencies);
      for await (const response of responses) yield encode(response);
    };
    return { ...common, streams: true, handle: encodeAll };
  }
  const handle = async (request: unknown, call: Call) => {
    const given: unknown = await handler(request, call, dependencies);
    const outcome = given instanceof Outcome ? given : undefined;
    return { answer: encode(outcome?.response ?? given), outcome };
  };
  return { ...common, streams: false, handle };
}
