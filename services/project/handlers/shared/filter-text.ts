import { EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';

/** The filter as its canonical bytes are: what a page token is bound to. */
export function filterText(filter: EventFilter | undefined): string {
  return Buffer.from(EventFilter.encode(filter ?? EventFilter.fromPartial({})).finish()).toString(
    'base64',
  );
}
