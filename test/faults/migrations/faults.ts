import { setTimeout as pause } from 'node:timers/promises';
import { RestartableServer } from '../../harness/restartable-server.ts';
import type { Ends } from '../../scenarios/migration-support.ts';
import { type Holding, hangWrite } from '../fail-points.ts';
import { FailoverSet } from '../failover-set.ts';
import { killService, startDead } from '../fault-silo.ts';
import type { FaultRegion } from './fault-regions.ts';
import type { Run } from './run-migration.ts';

/** In this time both regions are probed several times. */
const probedMs = 300;

type Act = (region: FaultRegion) => Promise<void> | void;

/** What fails, at the source or the destination, and how it is repaired. */
export type Fault = {
  what: string;
  end: keyof Ends;
  /** Done before the migration starts. */
  prepare?: Act;
  act: Act;
  heal: Act;
  /** Start and end, if they belong to the fault. */
  times?: Pick<Run, 'at' | 'until'>;
};

type Kind = Omit<Fault, 'end'>;

const kinds: Kind[] = [
  ...(['project', 'token'] as const).flatMap((name): Kind[] => [
    {
      what: `${name} is killed`,
      act: (region) => killService(region, name),
      heal: (region) => startDead(region),
    },
    {
      what: `${name} is paused`,
      act: ({ services }) => services[name][0].kill('SIGSTOP'),
      heal: ({ services }) => services[name][0].kill('SIGCONT'),
    },
  ]),
  {
    what: 'an edge is killed',
    act: async (region) => {
      const { process } = edgeOf(region);
      process.kill('SIGKILL');
      await process.exited;
    },
    heal: (region) => startDead(region),
  },
  {
    what: 'an edge is paused',
    act: (region) => edgeOf(region).process.kill('SIGSTOP'),
    heal: (region) => edgeOf(region).process.kill('SIGCONT'),
  },
  {
    what: 'NATS is killed',
    act: ({ natsServer }) => natsServer.kill(),
    heal: ({ natsServer }) => natsServer.start(),
  },
  {
    what: 'NATS is paused',
    act: ({ natsServer }) => natsServer.signal('SIGSTOP'),
    heal: ({ natsServer }) => natsServer.signal('SIGCONT'),
  },
  {
    what: 'the link is cut',
    act: ({ link }) => link.disturb({ kind: 'cut' }),
    heal: ({ link }) => link.heal(),
  },
  {
    what: 'the link stalls',
    act: ({ link }) => link.disturb({ kind: 'stalled', ways: ['toServer', 'toClient'] }),
    heal: ({ link }) => link.heal(),
  },
  {
    what: 'the link is slow',
    act: ({ link }) => link.disturb({ kind: 'slow', delayMs: 150 }),
    heal: ({ link }) => link.heal(),
  },
];

/** Faults of a MongoDB that is one mongod. */
const ofOneMongod: Kind[] = [
  {
    what: 'mongod is killed',
    act: ({ mongod }) => oneOf(mongod).kill(),
    heal: ({ mongod }) => mongod.start(),
  },
  {
    what: 'mongod is paused',
    act: ({ mongod }) => oneOf(mongod).signal('SIGSTOP'),
    heal: ({ mongod }) => mongod.start(),
  },
];

/** Faults of a MongoDB that is a replica set of three. */
const ofSet: Kind[] = [
  {
    what: 'the primary steps down',
    act: ({ mongod, mongo }) => setOf(mongod).stepDown(mongo),
    heal: () => {},
  },
  {
    what: 'the primary is paused',
    act: ({ mongod, mongo }) => setOf(mongod).pausePrimary(mongo),
    heal: ({ mongod }) => mongod.start(),
  },
];

/** Each fault at both ends, and the faults that are possible only at the source. */
export function faultsWith({ sets }: { sets: boolean }): Fault[] {
  const atEnds = (['from', 'to'] as const).flatMap((end) =>
    [...kinds, ...(sets ? ofSet : ofOneMongod)].map((kind) => ({
      ...kind,
      end,
      what: `${kind.what} at the ${end === 'from' ? 'source' : 'destination'}`,
    })),
  );
  return [...atEnds, captureHangs(), arrivalHangs()];
}

/** Inserts of captures hang inside of their transactions, beginning before the start. */
export function captureHangs(): Fault {
  let holding: Holding | undefined;
  return {
    what: 'captures hang in MongoDB at the source',
    end: 'from',
    prepare: async ({ mongo }) => {
      const write = { service: 'project', kind: 'insert', collection: 'captured_events' } as const;
      holding = await hangWrite(mongo, write);
    },
    act: () => holding?.entered(),
    heal: () => holding?.release(),
    times: { at: 0, until: 'activated' },
  };
}

/**
 * The write of the arrived project hangs, so that guards there remember that it does not exist; and
 * they receive no events.
 */
export function arrivalHangs(): Fault {
  let holding: Holding | undefined;
  return {
    what: 'an arrival hangs, and NATS is paused at the destination',
    end: 'to',
    prepare: async ({ mongo }) => {
      const write = { service: 'project', kind: 'update', collection: 'projects' } as const;
      holding = await hangWrite(mongo, write);
    },
    act: async ({ natsServer }) => {
      await holding?.entered();
      natsServer.signal('SIGSTOP');
      await pause(probedMs);
      await holding?.release();
    },
    heal: async ({ natsServer }) => {
      await holding?.release();
      natsServer.signal('SIGCONT');
    },
    times: { at: 0, until: 'activated' },
  };
}

/** A byte of one of the earlier events is changed in the copy. */
export const damage: Fault = {
  what: 'an event of the copy is damaged',
  end: 'to',
  act: async ({ mongo, databasePrefix }) => {
    const stored = mongo.db(`${databasePrefix}_project`).collection('captured_events');
    // An event of this run: those of earlier runs are stored, too.
    const newest = { sort: { receiveTime: -1 } } as const;
    await stored.findOneAndUpdate({ name: 'before' }, { $set: { distinctId: 'adb' } }, newest);
  },
  heal: () => {},
  times: { at: 'copying', until: 0 },
};

/** An edge that runs alone. */
function edgeOf({ edges }: FaultRegion): FaultRegion['edges'][number] {
  const [, edge] = edges;
  if (edge === undefined) throw new Error('no edge runs alone');
  return edge;
}

function oneOf(mongod: FaultRegion['mongod']) {
  if (mongod instanceof RestartableServer) return mongod;
  throw new TypeError('not one mongod');
}

function setOf(mongod: FaultRegion['mongod']): FailoverSet {
  if (mongod instanceof FailoverSet) return mongod;
  throw new TypeError('not a replica set');
}
