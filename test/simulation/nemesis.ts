import { sources as eachSource } from '@silo/guard/core/position.ts';
import type { GuardProcess, Overstatement } from './guard-process.ts';
import type { Faults } from './profile.ts';
import type { World } from './world.ts';

/** Causes random faults, all of which end by `endMs`, and then repairs everything. */
export function unleash(world: World, endMs: number): void {
  const { timeline, random, profile } = world;
  timeline.at(endMs, () => heal(world));
  if (profile.strokeMs === 0) return;
  const kinds = Object.keys(profile.faults) as (keyof Faults)[];
  const total = kinds.reduce((sum, kind) => sum + profile.faults[kind], 0);
  if (total === 0) return;
  const strokeLater = () => {
    timeline.after(-Math.log(1 - random.next()) * profile.strokeMs, () => {
      if (timeline.nowMs >= endMs) return;
      let left = random.between(0, total);
      const kind = kinds.find((candidate) => {
        left -= profile.faults[candidate];
        return left < 0;
      });
      if (kind !== undefined) strike(world, kind, endMs);
      strokeLater();
    });
  };
  strokeLater();
}

function strike(world: World, kind: keyof Faults, endMs: number): void {
  const { timeline, random, profile, network, broker, registry, guards, sources } = world;
  const leftMs = endMs - timeline.nowMs;
  const durationMs = Math.min(random.between(profile.faultMsMin, profile.faultMsMax), leftMs);
  const guard = random.pick(guards);
  const replica = random.pick(registry.replicas);
  const source = sources[random.pick(eachSource)];
  switch (kind) {
    case 'pauseGuard':
      guard.machine.pause(durationMs, false);
      break;
    case 'suspendGuard':
      guard.machine.pause(durationMs, true);
      break;
    case 'crashGuard':
      if (!guard.machine.isUp || guard.machine.isPaused) return;
      guard.machine.crash();
      timeline.after(random.between(1, durationMs), () => restartGuard(world, guard));
      break;
    case 'drainGuard':
      guard.machine.run(() => guard.step({ kind: 'drain' }));
      timeline.after(durationMs, () => restartGuard(world, guard));
      break;
    case 'pauseReplica':
      replica.machine.pause(durationMs, false);
      break;
    case 'suspendReplica':
      replica.machine.pause(durationMs, true);
      break;
    case 'crashReplica':
      if (!replica.machine.isUp || replica.machine.isPaused) return;
      replica.machine.crash();
      timeline.after(random.between(1, durationMs), () => replica.restart());
      break;
    case 'setWallClock':
      guard.machine.setWallClock(random.between(-3_000, 3_000));
      break;
    case 'cutNats':
      network.cut(guard.machine, 'nats', durationMs);
      break;
    case 'cutRegistry':
      network.cut(guard.machine, 'registry', durationMs);
      break;
    case 'cutSources':
      network.cut(guard.machine, 'sources', durationMs);
      break;
    case 'cutStore':
      replica.cutOffStore(durationMs);
      break;
    case 'failOverSource':
      source.failOver(durationMs);
      break;
    case 'failOverRegistry':
      registry.store.failOver(durationMs);
      break;
    case 'restoreSource':
      source.restore();
      break;
    case 'compactSource':
      source.compact();
      break;
    case 'forgeBatch':
      broker.forgeBatch(source.source);
      break;
    case 'forgeAcknowledgements':
      broker.forgeAcknowledgements(durationMs);
      break;
    case 'replayMessages':
      broker.replay();
      break;
    case 'withholdBatches':
      broker.withhold(guard, durationMs);
      break;
    case 'misbroadcast':
      broker.misbroadcast(source.source);
      break;
    case 'overstateLog':
      overstate(world, guard, 'log', durationMs);
      break;
    case 'overstateIncarnation':
      overstate(world, guard, 'incarnation', durationMs);
      break;
    case 'overstateApplied':
      overstate(world, guard, 'applied', durationMs);
      break;
    case 'stealLease':
      broker.stealLease(random.pick(guards).machine);
      break;
  }
}

function overstate(
  world: World,
  guard: GuardProcess,
  how: Overstatement,
  durationMs: number,
): void {
  world.trace(() => `${guard.machine.name} overstates: ${how}`);
  guard.overstates = how;
  world.timeline.after(durationMs, () => {
    guard.overstates = undefined;
  });
}

/** Replaces the process by another one, as soon as its machine runs. */
function restartGuard(world: World, guard: GuardProcess): void {
  if (guard.machine.isPaused) {
    world.timeline.after(10, () => restartGuard(world, guard));
    return;
  }
  if (guard.machine.isUp) guard.machine.crash();
  guard.start();
}

function heal(world: World): void {
  world.trace(() => 'all faults are over');
  world.network.heal();
  world.registry.store.heal();
  for (const source of Object.values(world.sources)) source.heal();
}
