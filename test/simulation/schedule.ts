import type { AccessCheck } from '@silo/guard/core/lookup.ts';
import type { ProtectionName } from '@silo/guard/core/protections.ts';
import { Change, type Returned } from './change.ts';
import type { Violation } from './checker.ts';
import { questions, worldFacts } from './facts-world.ts';
import type { GuardProcess } from './guard-process.ts';
import { unleash } from './nemesis.ts';
import { leaseMs } from './numbers.ts';
import { World } from './world.ts';

/** The result of one schedule. */
export type ScheduleResult = {
  violation: Violation | undefined;
  /**
   * Numbers of revoking RPCs that returned OK, of verifications, and of those answered from memory.
   */
  returned: number;
  verified: number;
  fromMemory: number;
};

const faultsBeginMs = 200;
const faultsEndMs = 2_600;
const endMs = faultsEndMs + 2.8 * leaseMs;

/** Maximum time of a barrier without faults: round trips, and the permits of others. */
const roundTripMs = 35;

/** Runs the schedule of one seed to its end, or to its first violation. */
export function runSchedule(
  seed: number,
  off?: ProtectionName,
  onTrace?: (line: string) => void,
): ScheduleResult {
  const world = new World(seed, off, onTrace);
  const schedule = new Schedule(world);
  schedule.run();
  return schedule.result();
}

class Schedule {
  readonly #world: World;
  #returned = 0;
  #verified = 0;
  #fromMemory = 0;

  constructor(world: World) {
    this.#world = world;
  }

  run(): void {
    const { timeline, guards, random, checker, profile } = this.#world;
    for (const guard of guards) {
      timeline.at(random.between(0, 100), () => guard.start());
      this.#verifyAgainAndAgain(guard);
    }
    timeline.at(profile.changesFromMs, () => this.#changeAgainAndAgain());
    timeline.at(faultsBeginMs, () => unleash(this.#world, faultsEndMs));
    this.#expectLife();
    timeline.runUntil(endMs, () => checker.violation !== undefined);
  }

  result(): ScheduleResult {
    return {
      violation: this.#world.checker.violation,
      returned: this.#returned,
      verified: this.#verified,
      fromMemory: this.#fromMemory,
    };
  }

  #verifyAgainAndAgain(guard: GuardProcess): void {
    const { timeline, random, profile } = this.#world;
    timeline.after(random.between(0, 2 * profile.verifyMs), () => {
      if (timeline.nowMs > faultsEndMs) return;
      guard.machine.run(() => this.#verify(guard, random.below(questions.length)));
      this.#verifyAgainAndAgain(guard);
    });
  }

  #verify(guard: GuardProcess, question: number): void {
    const { checker } = this.#world;
    const check = questions[question];
    if (check === undefined) return;
    const guardName = guard.machine.name;
    this.#verified++;
    const recalled = guard.recall(check);
    if (recalled !== undefined) {
      this.#fromMemory++;
      checker.answered(`${guardName} from memory`, check, recalled);
      return;
    }
    const since = checker.begin();
    guard.lookup(check, false, (outcome) => {
      if (outcome !== undefined) checker.answered(guardName, check, outcome.answer, since);
    });
  }

  #changeAgainAndAgain(): void {
    const { timeline, random, profile, guards } = this.#world;
    if (timeline.nowMs > faultsEndMs) return;
    const guard = random.pick(guards);
    const factIndex = random.below(worldFacts.length);
    guard.machine.run(() => {
      const change = new Change(this.#world, guard, factIndex, (returned) => {
        this.#revoked(returned);
      });
      change.run(random.chance(profile.permits));
    });
    timeline.after(random.between(0, 2 * profile.changeMs), () => this.#changeAgainAndAgain());
  }

  /** A revoke has returned: from now on no guard may accept the access. */
  #revoked(returned: Returned): void {
    if (returned === undefined) return;
    this.#returned++;
    const { timeline, random, guards, profile, checker } = this.#world;
    const isCalm = profile.strokeMs === 0 && profile.slow === 0 && profile.natsLoss === 0;
    if (isCalm && profile.rpcLoss === 0 && profile.mutationMsMax <= 20) {
      if (returned.elapsedMs > roundTripMs + profile.mutationMsMax) {
        checker.fail('liveness', `a barrier without faults took ${returned.elapsedMs}ms`);
      }
    }
    for (const guard of guards) {
      for (const delayMs of [0, random.between(0, leaseMs)]) {
        timeline.after(delayMs, () => {
          guard.machine.run(() => this.#verify(guard, random.below(questions.length)));
        });
      }
    }
  }

  /** After the faults, read leases must return and barriers must end. */
  #expectLife(): void {
    const { timeline, guards, checker } = this.#world;
    timeline.at(faultsEndMs + leaseMs, () => {
      for (const guard of guards) {
        if (!guard.hasReadLease)
          checker.fail('liveness', `${guard.machine.name} has no read lease`);
      }
      this.#expectReturn(leaseMs + 100);
    });
    // A message that was late when the faults ended may have revived an expired lease.
    const isLate = this.#world.profile.slow > 0;
    timeline.at(faultsEndMs + 2.4 * leaseMs, () => {
      this.#expectReturn(isLate ? leaseMs + 100 : roundTripMs);
    });
    timeline.at(faultsEndMs + 2.7 * leaseMs, () => this.#expectMemory());
  }

  #expectReturn(withinMs: number): void {
    const { guards, checker, sources } = this.#world;
    const guard = guards[0];
    const token = worldFacts[0];
    if (guard === undefined || token === undefined) return;
    if (sources.token.current(token.ref) !== token.granted) {
      sources.token.commit(token, token.granted);
    }
    let isOver = false;
    const change = new Change(this.#world, guard, 0, (returned) => {
      isOver = true;
      if (returned === undefined || returned.elapsedMs > withinMs) {
        const tookMs = returned?.elapsedMs ?? 'for ever';
        checker.fail('liveness', `a barrier after the faults took ${tookMs}ms`);
      }
    });
    change.revoke();
    this.#world.timeline.after(withinMs + 60, () => {
      if (!isOver) checker.fail('liveness', 'a barrier after the faults did not end');
    });
  }

  #expectMemory(): void {
    const { guards, checker, timeline, profile } = this.#world;
    if (profile.factsMax < 9) return;
    for (const guard of guards) {
      const remembered: AccessCheck[] = [];
      for (const check of questions) {
        // A denial for a valid key is re-checked each time.
        guard.lookup(check, false, (outcome) => {
          if (outcome?.answer.allowed || check.kind === 'token') remembered.push(check);
        });
      }
      timeline.after(60, () => {
        const isForgotten = remembered.some((check) => guard.recall(check) === undefined);
        if (isForgotten || remembered.length === 0) {
          checker.fail('liveness', `${guard.machine.name} does not answer from memory`);
        }
      });
    }
  }
}
