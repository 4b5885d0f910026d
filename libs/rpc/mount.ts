import type { Call, Handler } from './call.ts';

/** The implementation of a server-streaming method. Ends by returning; fails by throwing. */
export type StreamHandler<Request, Response> = (
  request: Request,
  call: Call,
) => AsyncIterable<Response>;

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

/** One handler for each method of the definition. */
export type Handlers<Service extends Definition> = {
  [Name in keyof Service]: Service[Name] extends Method<infer Request, infer Response>
    ? Service[Name]['responseStream'] extends true
      ? StreamHandler<Request, Response>
      : Handler<Request, Response>
    : never;
};

/** One method with its handler, without its message types. */
export type MountedMethod = {
  path: string;
  decode(bytes: Buffer): unknown;
  /** The canonical bytes of the request: without unknown fields, in the order of field numbers. */
  encodeRequest(request: unknown): Buffer;
} & (
  | { streams: false; handle(request: unknown, call: Call): Promise<Buffer> }
  | { streams: true; handle(request: unknown, call: Call): AsyncIterable<Buffer> }
);

/** A service with its handlers. */
export type Mounted = { serviceName: string; methods: MountedMethod[] };

/** Binds a generated `XxxService` to handlers; a missing or an extra handler does not compile. */
export function mount<Service extends Definition>(
  service: Service,
  handlers: Handlers<NoInfer<Service>>,
): Mounted {
  const methods = Object.entries(service).map(([name, method]) =>
    mountMethod(method, handlers[name as keyof Service]),
  );
  const [, serviceName] = methods[0]?.path.split('/') ?? [];
  if (serviceName === undefined) throw new TypeError('a service without methods');
  return { serviceName, methods };
}

function mountMethod(method: Method<unknown, unknown>, handler: unknown): MountedMethod {
  if (method.requestStream) throw new TypeError(`${method.path}: client streams are not served`);
  if (typeof handler !== 'function') throw new TypeError(`${method.path} has no handler`);
  const common = {
    path: method.path,
    decode: method.requestDeserialize,
    encodeRequest: method.requestSerialize,
  };
  if (method.responseStream) {
    const encodeAll = async function* (request: unknown, call: Call) {
      for await (const response of handler(request, call)) yield method.responseSerialize(response);
    };
    return { ...common, streams: true, handle: encodeAll };
  }
  const handle = async (request: unknown, call: Call) =>
    method.responseSerialize(await handler(request, call));
  return { ...common, streams: false, handle };
}
