import { bareName } from '@silo/protos/enum-name.ts';
import { EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import type { ProjectDocument } from '../store/documents.ts';
import type { EventDeletionDocument } from '../store/event-deletions.ts';
import { createRetentionStore } from '../store/retention.ts';
import { captured, insert, receiveTime } from './event-support.ts';
import { testWorld } from './support.ts';

const { PROJECT_STATE_ACTIVE: active, PROJECT_STATE_DELETED: deleted } = ProjectState;
const { PROJECT_STATE_MIGRATING: migrating, PROJECT_STATE_MIGRATED: migrated } = ProjectState;
const signal = () => AbortSignal.timeout(600_000);

test('removals, retention and index builds change the events of a project only while it is here', async (t) => {
  const world = await testWorld(t);
  const { db, eventDeletions, indexes } = world;
  const projects = db.collection<ProjectDocument>('projects');
  const events = db.collection('captured_events');
  const retention = createRetentionStore(db);
  for (const state of [active, deleted, migrating, migrated]) {
    const isHere = state === active || state === deleted;
    const { id: organizationId } = await world.organization(world.key());
    const { _id: projectId } = await world.addProject(organizationId, 'Fenced');
    const index = { name: 'plan', place: 1, since: 1, state: 'building' } as const;
    const batch = [captured({ plan: 'free' }), captured({ plan: 'free' }, -60_000)];
    await insert(world.captured, projectId, batch);
    const retentionDays = 1;
    const values = { state, propertyIndexes: [index], 'settings.retentionDays': retentionDays };
    await projects.updateOne({ _id: projectId }, { $set: values });
    const deletion: EventDeletionDocument = {
      ...{ _id: newId('evd'), projectId, generation: 1, actorAccountId: newId('acc') },
      filter: Buffer.from(EventFilter.encode(EventFilter.fromPartial({})).finish()),
      ...{ createTime: receiveTime, removedCount: 0, isOpen: true, isSettled: true },
    };
    await db.collection<EventDeletionDocument>('event_deletions').insertOne(deletion);
    const count = () => events.countDocuments({ '_id.project': projectId });
    const message = bareName(ProjectState, state);

    const unfinished = { projectId, index };
    const fence = (await indexes.acquire(unfinished, 'test', signal())) ?? 0;
    await indexes.step(unfinished, fence, signal());
    const filled = await events.countDocuments({ '_id.project': projectId, x1: 'free' });
    t.is(filled, isHere ? 2 : 0, `an index is built: ${message}`);

    await retention.removeSomeBefore({ projectId, retentionDays }, receiveTime, signal());
    t.is(await count(), isHere ? 1 : 2, `retention: ${message}`);

    const fresh = { projectId, organizationId, receiveTime, generation: 1, events: batch };
    await eventDeletions.free(fresh, signal());
    t.is(await count(), isHere ? 0 : 2, `a deleted event is replaced: ${message}`);

    const removed = await eventDeletions.removeSome(deletion, receiveTime, signal());
    t.is(removed !== undefined, isHere, `a deletion continues: ${message}`);
  }
});
