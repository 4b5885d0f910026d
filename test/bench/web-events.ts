import { randomBytes } from 'node:crypto';
import { timeOrderedUuid } from '@silo/project-service/rules/events/uuid.ts';
import type { CapturedEvent } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { SeededRandom } from '../simulation/random.ts';

const names = ['$pageview', '$autocapture', '$pageleave', 'signed up', 'plan changed'];
const hosts = ['app.example.com', 'www.example.com', 'docs.example.com', 'eu.example.com'];
const pages = ['/', '/pricing', '/projects/settings/members', '/projects/billing', '/sign-up'];
const browsers = ['Chrome', 'Safari', 'Firefox', 'Microsoft Edge'];
const systems = ['Windows', 'Mac OS X', 'Linux', 'Android', 'iOS'];
const cities = ['Amsterdam', 'Berlin', 'Lisbon', 'Osaka', 'Toronto'];

/** The host that one event in four has. */
export const commonHost = 'app.example.com';

/**
 * Events as a browser sends them, of about 670 bytes of JSON with 17 or 18 properties. The same
 * seed gives the same events, except for their UUIDs and times, which are new.
 */
export function webEvents(count: number, seed = 1): CapturedEvent[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, () => webEvent(random));
}

function webEvent(random: SeededRandom): CapturedEvent {
  const host = random.pick(hosts);
  const page = random.pick(pages);
  const visitor = uuid(random);
  const properties = {
    $host: host,
    $current_url: `https://${host}${page}?session=${digits(6, random)}`,
    $pathname: page,
    $browser: random.pick(browsers),
    $browser_version: 100 + random.below(40),
    $os: random.pick(systems),
    $device_type: random.chance(0.5) ? 'Desktop' : 'Mobile',
    $screen_height: 1_080,
    $screen_width: 1_920,
    $viewport_height: 600 + random.below(400),
    $viewport_width: 1_200 + random.below(600),
    $lib: 'web',
    $lib_version: '1.268.4',
    $insert_id: uuid(random),
    $session_id: uuid(random),
    $referrer: '$direct',
    $geoip_city_name: random.pick(cities),
    // Half of the events have an eighteenth property.
    ...(random.chance(0.5) && { plan: random.chance(0.5) ? 'free' : 'scale' }),
  };
  const now = new Date();
  return {
    uuid: webUuid(now),
    name: random.pick(names),
    distinctId: visitor,
    timestamp: now.toISOString(),
    properties: JSON.stringify(properties),
  };
}

/** The same events with new UUIDs and times. */
export function anew(events: readonly CapturedEvent[]): CapturedEvent[] {
  const now = new Date();
  const timestamp = now.toISOString();
  return events.map((event) => ({ ...event, uuid: webUuid(now), timestamp }));
}

/** A new UUID as posthog-js makes it, of version 7. */
export function webUuid(time: Date): string {
  return timeOrderedUuid(time, randomBytes(10));
}

/** The bytes of an event as an SDK writes it: one JSON object. */
export function jsonBytes({ name, distinctId, properties, ...rest }: CapturedEvent): number {
  const sent = { event: name, distinct_id: distinctId, properties: JSON.parse(properties) };
  return Buffer.byteLength(JSON.stringify({ ...sent, ...rest }));
}

function uuid(random: SeededRandom): string {
  return [8, 4, 4, 4, 12].map((count) => digits(count, random)).join('-');
}

function digits(count: number, random: SeededRandom): string {
  return Array.from({ length: count }, () => random.below(16).toString(16)).join('');
}
