/**
 * Everything that the promise of design §5 rests on, by name. All are on; a control run switches
 * one off and must find a violation. Those marked `world` live outside the cores (databases and
 * relays) and are switches of the simulated world.
 */
export const protectionRules = {
  'view-from-send': 'a view counts from before the renewal was sent, not from its reply',
  'clocks-at-each-use': 'clocks are read at each look-up; no timer says whether there is a view',
  'wall-clock-too': 'a view ends by the worse of both clocks, not by the monotonic one alone',
  'view-after-catching-up': 'a view begins only when what its renewal required is applied',
  'acquire-grants-nothing': 'acquiring a lease grants no view',
  'requirement-after-lease': 'a renewal writes the lease before it reads the requirement',
  'requirement-after-own-writes':
    'world: the requirement is read causally after the lease’s write, from no stale primary',
  'no-sharing-old-fills': 'a look-up never joins a fill sent before an invalidation of its fact',
  'no-caching-old-fills': 'a fill whose fact was invalidated since it was sent is not cached',
  'fill-from-primary': 'world: a fill is never answered by a stale primary',
  'fill-linearizable-without-view': 'world: a fill sent without a view is more than causal',
  'clear-ends-fills': 'clearing a source invalidates its fills in flight too',
  'acknowledge-after-applying': 'an event is acknowledged only when it is applied',
  'acknowledge-after-permits': 'an event is acknowledged when the permits it ends are over',
  'acknowledge-by-lease': 'acknowledgements count for a lease, not for a name of a guard',
  'publish-durable-numbers': 'world: only majority-durable numbers leave a source',
  'permit-with-look-up': 'facts are looked at and the permit taken in one turn',
  'carry-good-permits': 'a permit whose facts have ended is not carried into a new view',
  'mutation-needs-view': 'no permit is given without a view',
  'delete-on-condition': 'a silent lease is deleted only if its version is unchanged',
  'wait-for-longest-lease': 'a lease counts as long as the longest that any replica granted it for',
  'authentic-batches': 'world: an event batch on NATS that is not authentic is ignored',
  'authentic-acknowledgements': 'world: an acknowledgement that is not authentic is ignored',
  'batch-within-its-head': 'events of a batch past the head that it states are ignored',
  'committed-positions': 'the registry accepts no position beyond what the source has committed',
  'present-incarnation': 'the registry accepts no position of another incarnation of a log',
  'acknowledged-within-applied': 'the registry accepts no acknowledgement beyond what is applied',
  'lease-of-its-owner': 'a lease is renewed and released only by the certificate that acquired it',
} as const;

/** The name of one protection, as `--without` takes it. */
export type ProtectionName = keyof typeof protectionRules;

/** Which protections are on. */
export type Protections = Readonly<Record<ProtectionName, boolean>>;

export const protectionNames = Object.keys(protectionRules) as ProtectionName[];

/** What runs anywhere but in a control run. */
export const allProtections: Protections = protectionsWithout(undefined);

/** All protections but one; for control runs only. */
export function protectionsWithout(off: ProtectionName | undefined): Protections {
  const entries = protectionNames.map((name) => [name, name !== off]);
  return Object.fromEntries(entries) as Protections;
}
