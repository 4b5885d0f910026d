import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Server,
  type ServerWritableStream,
  status,
} from '@grpc/grpc-js';
import {
  type HealthCheckRequest,
  HealthCheckResponse,
  HealthCheckResponse_ServingStatus,
  type HealthListRequest,
  type HealthListResponse,
  HealthService,
} from '@silo/protos/gen/grpc/health/v1/health.ts';
import { type Decoded, tolerant, undecodableStatus } from './open-service.ts';

/**
 * The state that `grpc.health.v1.Health` reports for one port. Everything starts as NOT_SERVING.
 */
export type Health = {
  /** Sets the state of the server, `""`, and of every service that it serves. */
  setServing(isServing: boolean): void;
  /** Sets the state of one name, such as `silo.nats`. */
  set(name: string, isServing: boolean): void;
  addTo(server: Server): void;
};

type Watcher = ServerWritableStream<Decoded<HealthCheckRequest>, HealthCheckResponse>;
const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = HealthCheckResponse_ServingStatus;
// The limit of List in the health protocol: RESOURCE_EXHAUSTED above it.
const listMax = 100;

/** The health of a port with these services. Calls `handlerBegan` at the start of each call. */
export function createHealth(
  serviceNames: readonly string[],
  handlerBegan: (call: object) => void,
): Health {
  const followers = ['', ...serviceNames];
  const statuses = new Map(followers.map((name) => [name, answer(NOT_SERVING)]));
  const watchers = new Map<Watcher, string>();

  const set = (name: string, isServing: boolean) => {
    const value = isServing ? SERVING : NOT_SERVING;
    if (statuses.get(name)?.status === value) return;
    statuses.set(name, answer(value));
    for (const [watcher, watched] of watchers) if (watched === name) watcher.write(answer(value));
  };

  const check: handleUnaryCall<Decoded<HealthCheckRequest>, HealthCheckResponse> = (
    call,
    callback,
  ) => {
    handlerBegan(call);
    const { request } = call;
    if ('undecodable' in request) return callback(undecodableStatus);
    const known = statuses.get(request.request.service);
    if (known !== undefined) return callback(null, known);
    callback({
      code: status.NOT_FOUND,
      details: 'Unknown service. Use server reflection to list the services of this server.',
    });
  };

  const list: handleUnaryCall<Decoded<HealthListRequest>, HealthListResponse> = (
    call,
    callback,
  ) => {
    handlerBegan(call);
    callback(null, { statuses: Object.fromEntries([...statuses].slice(0, listMax)) });
  };

  const watch: handleServerStreamingCall<Decoded<HealthCheckRequest>, HealthCheckResponse> = (
    call,
  ) => {
    handlerBegan(call);
    if ('undecodable' in call.request) {
      call.emit('error', undecodableStatus);
      return;
    }
    const { service } = call.request.request;
    watchers.set(call, service);
    call.on('close', () => watchers.delete(call));
    call.on('cancelled', () => watchers.delete(call));
    call.write(statuses.get(service) ?? answer(SERVICE_UNKNOWN));
  };

  return {
    set,
    setServing: (isServing) => {
      for (const name of followers) set(name, isServing);
    },
    addTo: (server) => {
      const definition = {
        check: tolerant(HealthService.check),
        list: tolerant(HealthService.list),
        watch: tolerant(HealthService.watch),
      };
      server.addService(definition, { check, list, watch });
    },
  };
}

function answer(value: HealthCheckResponse_ServingStatus): HealthCheckResponse {
  return HealthCheckResponse.create({ status: value });
}
