import type {
  CaptureEventsRequest,
  CaptureEventsResponse,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { type Call, tokenCaller } from '@silo/rpc/call.ts';
import { type CaptureDependencies, captureBatch } from '../capture/capture-batch.ts';

/** CaptureEvents: stores events in the project of the token. */
export async function captureEvents(
  request: CaptureEventsRequest,
  call: Call,
  dependencies: CaptureDependencies,
): Promise<CaptureEventsResponse> {
  return { outcomes: await captureBatch(tokenCaller(call), request, call, dependencies) };
}
