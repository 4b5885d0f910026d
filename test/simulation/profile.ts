import type { ProtectionName } from '@silo/guard/core/protections.ts';
import { protectionNames } from '@silo/guard/core/protections.ts';
import type { SeededRandom } from './random.ts';

/** The faults of the world, with their weights for the nemesis. */
export type Faults = {
  pauseGuard: number;
  suspendGuard: number;
  crashGuard: number;
  /** Ends in an orderly way, and starts again. */
  drainGuard: number;
  pauseReplica: number;
  suspendReplica: number;
  crashReplica: number;
  setWallClock: number;
  cutNats: number;
  cutRegistry: number;
  cutSources: number;
  cutStore: number;
  failOverSource: number;
  failOverRegistry: number;
  restoreSource: number;
  compactSource: number;
  /** Faults of NATS, or of an attacker that may publish there. */
  forgeBatch: number;
  forgeAcknowledgements: number;
  replayMessages: number;
  withholdBatches: number;
  /** Faults of holders of certificates, which are defective or malicious. */
  misbroadcast: number;
  overstateLog: number;
  overstateIncarnation: number;
  overstateApplied: number;
  stealLease: number;
};

/** The parameters of one schedule. Shares are probabilities, times are milliseconds. */
export type Profile = {
  guards: number;
  /** Two guard processes have the same name. */
  haveTwins: boolean;
  drift: number;
  natsLoss: number;
  rpcLoss: number;
  duplicate: number;
  slow: number;
  slowMs: number;
  /** Kinds of messages, calls and operations that may be slow; default: all. */
  slowOnly: readonly string[] | undefined;
  /** Duration of pauses, suspensions, disconnections and stale primaries. */
  faultMsMin: number;
  faultMsMax: number;
  /** Average time between two faults of the nemesis; 0 means none. */
  strokeMs: number;
  faults: Faults;
  /** Share of events that no guard understands. */
  unknownEvents: number;
  /** Maximum duration of a mutation's transaction. */
  mutationMsMax: number;
  /** Share of changes that are authorized by a permit. */
  permits: number;
  /** Average time between two changes, and between two verifications of a guard. */
  changeMs: number;
  verifyMs: number;
  /** No change happens before this time. */
  changesFromMs: number;
  /** Maximum lag of a secondary, and maximum time until a sequence is durable. */
  lagMsMax: number;
  factsMax: number;
  /** One replica of the registry has leases of half the length. */
  haveShortLeases: boolean;
};

const noFaults: Faults = {
  pauseGuard: 0,
  suspendGuard: 0,
  crashGuard: 0,
  drainGuard: 0,
  pauseReplica: 0,
  suspendReplica: 0,
  crashReplica: 0,
  setWallClock: 0,
  cutNats: 0,
  cutRegistry: 0,
  cutSources: 0,
  cutStore: 0,
  failOverSource: 0,
  failOverRegistry: 0,
  restoreSource: 0,
  compactSource: 0,
  forgeBatch: 0,
  forgeAcknowledgements: 0,
  replayMessages: 0,
  withholdBatches: 0,
  misbroadcast: 0,
  overstateLog: 0,
  overstateIncarnation: 0,
  overstateApplied: 0,
  stealLease: 0,
};

const calm: Omit<Profile, 'guards' | 'factsMax'> = {
  haveTwins: false,
  drift: 0.004,
  natsLoss: 0,
  rpcLoss: 0,
  duplicate: 0,
  slow: 0,
  slowMs: 0,
  slowOnly: undefined,
  faultMsMin: 100,
  faultMsMax: 2_000,
  strokeMs: 0,
  faults: noFaults,
  unknownEvents: 0,
  mutationMsMax: 20,
  permits: 0.5,
  changeMs: 120,
  verifyMs: 60,
  changesFromMs: 400,
  lagMsMax: 200,
  haveShortLeases: false,
};

/** A random mixture of all faults. */
function stormy(random: SeededRandom): Profile {
  const faults: Faults = { ...noFaults };
  for (const name of Object.keys(faults) as (keyof Faults)[]) {
    if (random.chance(0.4)) faults[name] = random.next();
  }
  if (random.chance(0.5)) faults.setWallClock = 0;
  return {
    ...calm,
    guards: 1 + random.below(4),
    haveTwins: random.chance(0.2),
    natsLoss: random.pick([0, 0.05, 0.5, 1]),
    rpcLoss: random.pick([0, 0.02, 0.2]),
    duplicate: random.pick([0, 0.05, 0.3]),
    slow: random.pick([0, 0.1, 0.4]),
    slowMs: random.pick([50, 300, 1_500]),
    strokeMs: random.pick([80, 200, 500]),
    faults,
    unknownEvents: random.pick([0, 0.1]),
    mutationMsMax: random.pick([20, 200, 900]),
    changeMs: random.pick([60, 150, 400]),
    verifyMs: random.pick([40, 150]),
    factsMax: random.pick([2, 5, 100]),
    haveShortLeases: random.chance(0.2),
  };
}

type Steering = Partial<Omit<Profile, 'faults'>> & { faults?: Partial<Faults> };

const stopped: Steering = { faultMsMin: 900, faultMsMax: 1_600, strokeMs: 150 };

const attacked: Steering = {
  strokeMs: 80,
  faultMsMin: 300,
  faultMsMax: 1_200,
  changeMs: 60,
  verifyMs: 20,
};

/** The faults that each protection prevents: a control run without it uses these. */
const steerings: Record<ProtectionName, Steering> = {
  'read-lease-from-send': {
    natsLoss: 1,
    slow: 0.7,
    slowMs: 700,
    slowOnly: ['renew'],
    changeMs: 100,
    verifyMs: 20,
  },
  'clocks-at-each-use': { ...stopped, faults: { pauseGuard: 1 } },
  'wall-clock-too': { ...stopped, faults: { suspendGuard: 1 } },
  'read-lease-after-catching-up': {
    natsLoss: 1,
    slow: 0.3,
    slowMs: 400,
    slowOnly: ['readEvents'],
    changeMs: 60,
    verifyMs: 20,
  },
  'acquire-grants-nothing': {
    ...stopped,
    natsLoss: 1,
    faultMsMax: 3_000,
    faults: { pauseGuard: 1, cutRegistry: 1 },
  },
  // A lease is lost, and acquired again together with its first read lease, during a barrier.
  'requirement-after-lease': {
    guards: 1,
    natsLoss: 1,
    slow: 0.7,
    slowMs: 400,
    slowOnly: ['acquire', 'renewLease'],
    strokeMs: 400,
    faultMsMin: 1_450,
    faultMsMax: 1_600,
    changeMs: 40,
    changesFromMs: 1_900,
    verifyMs: 15,
    permits: 0,
    faults: { cutRegistry: 1 },
  },
  'requirement-after-own-writes': { ...stopped, natsLoss: 1, faults: { failOverRegistry: 1 } },
  'no-sharing-stale-fetches': { slow: 0.3, slowMs: 300, factsMax: 3, verifyMs: 20, changeMs: 60 },
  'no-caching-stale-fetches': { slow: 0.3, slowMs: 300, factsMax: 3, verifyMs: 20, changeMs: 60 },
  'fetch-from-primary': { ...stopped, factsMax: 2, faults: { failOverSource: 1 } },
  'fetch-linearizable-without-read-lease': {
    ...stopped,
    guards: 3,
    natsLoss: 0.7,
    faultMsMin: 1_700,
    faultMsMax: 2_200,
    verifyMs: 30,
    lagMsMax: 600,
    faults: { cutRegistry: 1 },
  },
  'clear-invalidates-fetches': {
    slow: 0.3,
    slowMs: 300,
    factsMax: 3,
    verifyMs: 20,
    changeMs: 60,
    unknownEvents: 0.7,
  },
  'acknowledge-after-applying': { natsLoss: 0.5, slow: 0.2, slowMs: 300 },
  'acknowledge-after-permits': { mutationMsMax: 300, permits: 0.9, changeMs: 40 },
  'acknowledge-by-lease': {
    ...stopped,
    haveTwins: true,
    guards: 2,
    natsLoss: 0.2,
    faults: { cutNats: 1 },
  },
  'publish-durable-numbers': {
    strokeMs: 50,
    lagMsMax: 300,
    changeMs: 40,
    faults: { failOverSource: 1 },
  },
  'permit-with-lookup': { mutationMsMax: 300, permits: 0.9, changeMs: 15, verifyMs: 200 },
  'extend-only-valid-permits': {
    mutationMsMax: 1_800,
    permits: 0.9,
    changeMs: 40,
    verifyMs: 300,
  },
  'mutation-needs-read-lease': {
    ...stopped,
    mutationMsMax: 100,
    permits: 0.9,
    changeMs: 30,
    faults: { cutRegistry: 1, pauseGuard: 0.3 },
  },
  // A replica that was stopped treats living leases as expired.
  'delete-on-condition': {
    natsLoss: 1,
    strokeMs: 150,
    faultMsMin: 1_000,
    faultMsMax: 1_300,
    changeMs: 40,
    verifyMs: 20,
    faults: { pauseReplica: 1 },
  },
  'wait-for-longest-lease': {
    haveShortLeases: true,
    natsLoss: 1,
    strokeMs: 150,
    faultMsMin: 600,
    faultMsMax: 1_200,
    verifyMs: 20,
    faults: { cutRegistry: 1 },
  },
  'authentic-batches': { ...attacked, faults: { forgeBatch: 1, replayMessages: 0.2 } },
  'authentic-acknowledgements': {
    ...attacked,
    natsLoss: 0.5,
    faults: { forgeAcknowledgements: 1, withholdBatches: 1 },
  },
  'batch-within-its-head': { ...attacked, faults: { misbroadcast: 1 } },
  'committed-positions': { ...attacked, natsLoss: 0.5, faults: { overstateLog: 1 } },
  'present-incarnation': { ...attacked, natsLoss: 0.5, faults: { overstateIncarnation: 1 } },
  'acknowledged-within-applied': { ...attacked, natsLoss: 0.5, faults: { overstateApplied: 1 } },
  'lease-of-its-owner': { ...attacked, natsLoss: 0.5, faults: { stealLease: 1 } },
};

/**
 * The parameters of this seed's schedule. A control run is steered; other schedules are calm,
 * stormy, or steered towards any protection.
 */
export function profileOf(random: SeededRandom, off: ProtectionName | undefined): Profile {
  const storm = stormy(random);
  const kind = random.next();
  if (off === undefined && kind < 0.05) return { ...calm, guards: storm.guards, factsMax: 100 };
  if (off === undefined && kind < 0.5) return withinLimits(storm);
  const steering = steerings[off ?? random.pick(protectionNames)];
  const base = random.chance(0.3) ? storm : { ...calm, guards: 1 + random.below(3), factsMax: 100 };
  const faults = { ...base.faults, ...steering.faults };
  return withinLimits({ ...base, ...steering, faults });
}

/**
 * If both clocks of one machine are wrong at once, a guard fails: a limit in docs/consistency.md.
 */
function withinLimits(profile: Profile): Profile {
  const { faults } = profile;
  if (faults.suspendGuard === 0) return profile;
  return { ...profile, faults: { ...faults, setWallClock: 0 } };
}
