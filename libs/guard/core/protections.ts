/**
 * Everything that the guarantees of docs/consistency.md depend on, by name. All are on; a control
 * run switches one off and must find a violation. Those marked `world` are outside the cores
 * (databases and relays) and are switches of the simulated world.
 * @internal Exported for tests.
 */
export const protectionRules = {
  'read-lease-from-send':
    'a read lease counts from before the renewal was sent, not from its reply',
  'clocks-at-each-use':
    'clocks are read at each lookup; no timer says whether there is a read lease',
  'wall-clock-too':
    'a read lease ends by whichever clock ends it first, not by the monotonic one alone',
  'read-lease-after-catching-up':
    'a read lease begins only when the positions that its renewal required are applied',
  'acquire-grants-nothing': 'acquiring a lease grants no read lease',
  'requirement-after-lease': 'a renewal writes the lease before it reads the requirement',
  'requirement-after-own-writes':
    'world: the requirement is read causally after the lease’s write, from no stale primary',
  'no-sharing-stale-fetches':
    'a lookup never joins a fact fetch sent before an invalidation of its fact',
  'no-caching-stale-fetches':
    'a fact fetch whose fact was invalidated since it was sent is not cached',
  'fetch-from-primary': 'world: a fact fetch is never answered by a stale primary',
  'fetch-linearizable-without-read-lease':
    'world: a fact fetch sent without a read lease is more than causal',
  'clear-invalidates-fetches': 'clearing a source invalidates its fact fetches in flight too',
  'acknowledge-after-applying': 'an event is acknowledged only when it is applied',
  'acknowledge-after-permits': 'an event is acknowledged only when the permits it ends are over',
  'acknowledge-by-lease': 'acknowledgements count for a lease, not for a name of a guard',
  'publish-durable-numbers': 'world: only majority-durable numbers leave a source',
  'permit-with-lookup': 'facts are looked at and the permit taken in one turn',
  'extend-only-valid-permits':
    'a permit whose facts have ended is not carried into a new read lease',
  'mutation-needs-read-lease': 'no permit is granted without a read lease',
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

/** The name of one protection, as `--without` accepts it. */
export type ProtectionName = keyof typeof protectionRules;

/** Which protections are on. */
export type Protections = Readonly<Record<ProtectionName, boolean>>;

/** @internal Exported for tests. */
export const protectionNames = Object.keys(protectionRules) as ProtectionName[];

/** What every guard uses, except in a control run. */
export const allProtections: Protections = protectionsWithout(undefined);

/**
 * All protections but one; for control runs only.
 * @internal Exported for tests.
 */
export function protectionsWithout(off: ProtectionName | undefined): Protections {
  const entries = protectionNames.map((name) => [name, name !== off]);
  return Object.fromEntries(entries) as Protections;
}
