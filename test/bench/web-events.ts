import { randomUUID } from 'node:crypto';
import type { CapturedEvent } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { type Random, seededRandom } from '@silo/runtime/random.ts';

const names = ['$pageview', '$autocapture', '$pageleave', 'signed up', 'plan changed'];
const hosts = ['app.example.com', 'www.example.com', 'docs.example.com', 'eu.example.com'];
const pages = ['/', '/pricing', '/projects/settings/members', '/projects/billing', '/sign-up'];
const browsers = ['Chrome', 'Safari', 'Firefox', 'Microsoft Edge'];
const systems = ['Windows', 'Mac OS X', 'Linux', 'Android', 'iOS'];
const cities = ['Amsterdam', 'Berlin', 'Lisbon', 'Osaka', 'Toronto'];

/** The host that one event in four has. */
export const commonHost = 'app.example.com';

/**
 * Events as a browser sends them, of some 670 bytes of JSON with 17 or 18 properties. The same seed
 * gives the same events, but for their UUIDs and times, which are new.
 */
export function webEvents(count: number, seed = 1): CapturedEvent[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => webEvent(random));
}

function webEvent(random: Random): CapturedEvent {
  const host = pick(hosts, random);
  const page = pick(pages, random);
  const visitor = uuid(random);
  const properties = {
    $host: host,
    $current_url: `https://${host}${page}?session=${digits(6, random)}`,
    $pathname: page,
    $browser: pick(browsers, random),
    $browser_version: 100 + Math.floor(random() * 40),
    $os: pick(systems, random),
    $device_type: random() < 0.5 ? 'Desktop' : 'Mobile',
    $screen_height: 1_080,
    $screen_width: 1_920,
    $viewport_height: 600 + Math.floor(random() * 400),
    $viewport_width: 1_200 + Math.floor(random() * 600),
    $lib: 'web',
    $lib_version: '1.268.4',
    $insert_id: uuid(random),
    $session_id: uuid(random),
    $referrer: '$direct',
    $geoip_city_name: pick(cities, random),
    // Half of the events have an eighteenth.
    ...(random() < 0.5 && { plan: random() < 0.5 ? 'free' : 'scale' }),
  };
  return {
    uuid: randomUUID(),
    name: pick(names, random),
    distinctId: visitor,
    timestamp: new Date().toISOString(),
    properties: JSON.stringify(properties),
  };
}

/** The same events, as others: with new UUIDs and times. */
export function anew(events: readonly CapturedEvent[]): CapturedEvent[] {
  const timestamp = new Date().toISOString();
  return events.map((event) => ({ ...event, uuid: randomUUID(), timestamp }));
}

/** The bytes of an event as an SDK writes it: one JSON object. */
export function jsonBytes({ name, distinctId, properties, ...rest }: CapturedEvent): number {
  const sent = { event: name, distinct_id: distinctId, properties: JSON.parse(properties) };
  return Buffer.byteLength(JSON.stringify({ ...sent, ...rest }));
}

function pick(values: readonly string[], random: Random): string {
  return values[Math.floor(random() * values.length)] ?? '';
}

function uuid(random: Random): string {
  return [8, 4, 4, 4, 12].map((count) => digits(count, random)).join('-');
}

function digits(count: number, random: Random): string {
  return Array.from({ length: count }, () => Math.floor(random() * 16).toString(16)).join('');
}
