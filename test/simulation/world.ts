import { sourceOfKind } from '@silo/guard/core/facts.ts';
import type { Source } from '@silo/guard/core/position.ts';
import {
  type ProtectionName,
  type Protections,
  protectionsWithout,
} from '@silo/guard/core/protections.ts';
import { Checker } from './checker.ts';
import { worldFacts } from './facts-world.ts';
import { GuardProcess } from './guard-process.ts';
import { HostileBroker } from './hostile-broker.ts';
import { Network } from './network.ts';
import { type Profile, profileOf } from './profile.ts';
import { SeededRandom } from './random.ts';
import { RegistryWorld } from './registry-world.ts';
import { SourceWorld } from './source-world.ts';
import { Timeline } from './timeline.ts';

/** One schedule: the real cores, and their simulated world, which a seed determines. */
export class World {
  readonly random: SeededRandom;
  readonly timeline = new Timeline();
  readonly protections: Protections;
  readonly profile: Profile;
  readonly network: Network;
  readonly broker: HostileBroker;
  readonly sources: Record<Source, SourceWorld>;
  readonly registry: RegistryWorld;
  readonly guards: readonly GuardProcess[];
  readonly checker: Checker;
  readonly #onTrace: ((line: string) => void) | undefined;

  constructor(
    seed: number,
    off: ProtectionName | undefined,
    onTrace: ((line: string) => void) | undefined,
  ) {
    this.#onTrace = onTrace;
    this.random = new SeededRandom(seed);
    this.protections = protectionsWithout(off);
    this.profile = profileOf(this.random, off);
    this.network = new Network(this);
    this.broker = new HostileBroker(this);
    const newSource = (source: Source) => {
      const facts = worldFacts.filter(({ ref }) => sourceOfKind[ref.kind] === source);
      return new SourceWorld(this, source, facts);
    };
    this.sources = {
      org: newSource('org'),
      project: newSource('project'),
      token: newSource('token'),
    };
    this.registry = new RegistryWorld(this);
    const guards: GuardProcess[] = [];
    for (let i = 0; i < this.profile.guards; i++) {
      const guardName = this.profile.haveTwins && i < 2 ? 'twin' : `guard-${i}`;
      guards.push(new GuardProcess(this, `guard-${i}`, guardName));
    }
    this.guards = guards;
    this.checker = new Checker(this);
    this.trace(() => `the world: ${JSON.stringify(this.profile)}`);
  }

  /** Writes a trace, if requested. */
  trace(line: () => string): void {
    this.#onTrace?.(`${this.timeline.nowMs.toFixed(2).padStart(9)} ${line()}`);
  }
}
