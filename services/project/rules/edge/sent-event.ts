import type { SentEvent } from '../events/check-event.ts';
import {
  appendToObject,
  isObject,
  type JsonObject,
  joinObject,
  ownProperty,
  splitObject,
} from '../events/json-text.ts';
import { instantOf } from '../events/timestamp.ts';
import { contentUuid } from '../events/uuid.ts';
import type { BodyEvent } from './capture-body.ts';
import { withoutSkew } from './clock-skew.ts';

/** What an SDK sends for all events of a request, and what the edge knows about the request. */
export type RequestContext = {
  /** The project token that authorizes the request. */
  token: string;
  receiveTime: Date;
  /** When the SDK sent the request, by its own clock; '' if the request does not say. */
  sentAt: string;
  isHistorical: boolean;
  /** The client's address; undefined if it is to be discarded. */
  address: string | undefined;
  /** The SDK, as `name/version`; undefined if only the events name it. */
  library: string | undefined;
  newUuid(): string;
};

/** The options of an event of v1, with the names of their properties. */
const optionProperties = {
  cookieless_mode: '$cookieless_mode',
  disable_skew_correction: '$ignore_sent_at',
  process_person_profile: '$process_person_profile',
  product_tour_id: '$product_tour_id',
} as const;

/** Fields of an event that become properties, with the names of the properties. */
const fieldProperties = {
  $set: '$set',
  $set_once: '$set_once',
  session_id: '$session_id',
  window_id: '$window_id',
} as const;

/**
 * Converts an event of an SDK to an event of CaptureEvents. Its properties keep the text that was
 * sent. Values that SDKs send beside the properties are added: `$set`, `$set_once`, session and
 * window, options, library; and the client's address as `$ip` if the event has none. The token does
 * not become a property. The rules of an event check the types.
 */
export function sentEvent(bodyEvent: BodyEvent, context: RequestContext): SentEvent {
  const { value, text } = bodyEvent;
  const event = isObject(value) ? value : {};
  const texts = isObject(value) ? splitObject(text) : new Map<string, string>();
  const given = ownProperty(event, 'properties') ?? {};
  const properties = isObject(given) ? given : {};
  const textOf = (name: string) => fieldText(ownProperty(event, name), texts.get(name));
  const own = texts.get('properties');
  const propertiesText = own === undefined || own === 'null' ? '{}' : own;
  const timestamp = textOf('timestamp');
  const isTimeRight = context.isHistorical || ignoresSentAt(event, properties);
  return {
    uuid: textOf('uuid') || (resendUuid(bodyEvent, timestamp) ?? context.newUuid()),
    name: textOf('event'),
    distinctId: textOf('distinct_id') || distinctIdIn(properties, propertiesText),
    timestamp: isTimeRight
      ? timestamp
      : withoutSkew(timestamp, context.sentAt, context.receiveTime),
    properties: isObject(given)
      ? completed(propertiesText, properties, besides(event, texts, properties, context), context)
      : propertiesText,
  };
}

/**
 * The UUID of an event that was sent without one: derived from its text, its time and its position
 * in the body, so that a resent body is stored once. Undefined for an event without a time: such
 * events may be equal and yet be distinct.
 */
function resendUuid({ text, position }: BodyEvent, timestamp: string): string | undefined {
  const time = instantOf(timestamp);
  return time && contentUuid(time, `${position} ${text}`);
}

/** A string without lone surrogates, or the digits of a number; '' for anything else. */
function fieldText(value: unknown, text: string | undefined): string {
  if (typeof value === 'string') return value.toWellFormed();
  return typeof value === 'number' ? (text ?? '') : '';
}

function distinctIdIn(properties: JsonObject, propertiesText: string): string {
  const value = ownProperty(properties, 'distinct_id');
  if (typeof value !== 'number') return fieldText(value, undefined);
  return fieldText(value, splitObject(propertiesText).get('distinct_id'));
}

function ignoresSentAt(event: JsonObject, properties: JsonObject): boolean {
  const options = ownProperty(event, 'options');
  if (ownProperty(properties, '$ignore_sent_at') === true) return true;
  return isObject(options) && ownProperty(options, 'disable_skew_correction') === true;
}

/** The values that become properties but are not in `properties`, as texts. */
function besides(
  event: JsonObject,
  texts: ReadonlyMap<string, string>,
  properties: JsonObject,
  { address, library }: RequestContext,
): Map<string, string> {
  const found = new Map<string, string>();
  for (const [field, name] of Object.entries(fieldProperties)) {
    const text = texts.get(field);
    if (text !== undefined && text !== 'null') found.set(name, text);
  }
  const options = texts.get('options');
  if (options !== undefined && isObject(ownProperty(event, 'options'))) {
    const optionTexts = splitObject(options);
    for (const [option, name] of Object.entries(optionProperties)) {
      const text = optionTexts.get(option);
      if (text !== undefined) found.set(name, text);
    }
  }
  if (library !== undefined && !Object.hasOwn(properties, '$lib')) {
    const slash = library.lastIndexOf('/');
    found.set('$lib', JSON.stringify(slash < 0 ? library : library.slice(0, slash)));
    if (slash >= 0) found.set('$lib_version', JSON.stringify(library.slice(slash + 1)));
  }
  if (address !== undefined) found.set('$ip', JSON.stringify(address));
  return found;
}

/** The text of the properties with the added values; the event's own properties take precedence. */
function completed(
  text: string,
  properties: JsonObject,
  beside: Map<string, string>,
  { token }: RequestContext,
): string {
  const hasToken = ownProperty(properties, 'token') === token;
  const merged = ['$set', '$set_once'].filter(
    (name) => beside.has(name) && isObject(ownProperty(properties, name)),
  );
  for (const name of beside.keys()) {
    if (Object.hasOwn(properties, name) && !merged.includes(name)) beside.delete(name);
  }
  if (!hasToken && merged.length === 0) return appendToObject(text, beside);
  const all = splitObject(text);
  if (hasToken) all.delete('token');
  for (const [name, value] of beside) {
    const own = all.get(name);
    const isBoth = own !== undefined && value.startsWith('{');
    if (own === undefined) all.set(name, value);
    else if (isBoth)
      all.set(name, joinObject(new Map([...splitObject(value), ...splitObject(own)])));
  }
  return joinObject(all);
}
