import {
  isObject,
  type JsonObject,
  ownProperty,
  splitArray,
  splitObject,
} from '../events/json-text.ts';

/** The events of a body, both parsed and as text, and the fields that apply to all of them. */
export type CaptureBody = {
  /** The project token in the body; undefined if the body has none. */
  token: string | undefined;
  /** When the SDK sent the body, by its own clock; '' if the body does not say. */
  sentAt: string;
  /** Whether the body imports old events, whose times are correct. */
  isHistorical: boolean;
  events: BodyEvent[];
};

/**
 * One event of a body and its position. An event that is not an object is refused later, without
 * the others.
 */
export type BodyEvent = { value: unknown; text: string; position: number };

/**
 * Maximum number of events in one body: as many as fit if each has 200 bytes; events of SDKs are
 * larger.
 */
export const eventsMax = 100_000;

/**
 * Reads the body of a capture: an object with `batch`, one event, or an array of events. Returns
 * undefined if the body has another form, or too many events.
 */
export function readCaptureBody(text: string): CaptureBody | undefined {
  const value = parsed(text);
  if (Array.isArray(value)) {
    return value.length > eventsMax ? undefined : bodyOf({}, elements(value, text));
  }
  if (!isObject(value)) return undefined;
  if (!Object.hasOwn(value, 'batch')) return bodyOf(value, [{ value, text, position: 0 }]);
  const { batch } = value;
  if (!Array.isArray(batch) || batch.length > eventsMax) return undefined;
  return bodyOf(value, elements(batch, splitObject(text).get('batch') ?? '[]'));
}

/** The token in the body of any other request, such as for flags. */
export function readToken(text: string): string | undefined {
  const value = parsed(text);
  return isObject(value) ? tokenIn(value) : undefined;
}

/** The token at the beginning of a body whose rest has not been read. */
export function tokenAtStart(text: string): string | undefined {
  return /^\s*\{\s*"(?:api_key|token)"\s*:\s*"(phc_[0-9A-Za-z]+)"/.exec(text)?.[1];
}

/** The token at the end of a body, where posthog-python puts it. */
export function tokenAtEnd(text: string): string | undefined {
  return /"(?:api_key|token)"\s*:\s*"(phc_[0-9A-Za-z]+)"\s*\}\s*$/.exec(text)?.[1];
}

/** The token of an authorization header. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^bearer +(phc_\S+)$/i.exec(authorization ?? '')?.[1];
}

function bodyOf(envelope: JsonObject, events: BodyEvent[]): CaptureBody {
  const sentAt = ownProperty(envelope, 'sent_at');
  return {
    token: tokenIn(envelope) ?? firstTokenIn(events),
    sentAt: typeof sentAt === 'string' ? sentAt : '',
    isHistorical: ownProperty(envelope, 'historical_migration') === true,
    events,
  };
}

/** Skips events without a token: a malformed first event must not invalidate the others. */
function firstTokenIn(events: readonly BodyEvent[]): string | undefined {
  for (const { value } of events) {
    const token = isObject(value) ? tokenIn(value) : undefined;
    if (token !== undefined) return token;
  }
  return undefined;
}

function tokenIn(object: JsonObject): string | undefined {
  const properties = ownProperty(object, 'properties');
  const places = [
    ownProperty(object, 'api_key'),
    ownProperty(object, 'token'),
    isObject(properties) ? ownProperty(properties, 'token') : undefined,
  ];
  return places.find((each): each is string => typeof each === 'string' && each !== '');
}

function elements(values: readonly unknown[], text: string): BodyEvent[] {
  return splitArray(text).map((each, position) => ({
    value: values[position],
    text: each,
    position,
  }));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
