import { ActivityServiceService } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import test from 'ava';
import { mount } from '../mount.ts';

const response = { entries: [], nextPageToken: '' };

test('a handler has the name of its method, which stack traces show', (t) => {
  async function listActivity() {
    return response;
  }
  t.is(mount(ActivityServiceService, { listActivity }).methods.length, 1);
  async function respond() {
    return response;
  }
  t.throws(() => mount(ActivityServiceService, { listActivity: respond }), {
    instanceOf: TypeError,
    message: /ListActivity.*respond/,
  });
});
