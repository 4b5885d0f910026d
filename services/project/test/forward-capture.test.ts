/** The responses of a region to the edge of another one that forwards captures. */
import type { TokenPermitAnswer } from '@silo/access/access.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { ProjectFact } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import test from 'ava';
import { Storing } from '../capture/storing.ts';
import { forwardCapture } from '../handlers/peer/forward-capture.ts';
import { fromEu } from './migration-support.ts';
import { refusalOf } from './support.ts';

const question = {
  ...{ token: 'phc_1', origin: '', library: '' },
  capture: { events: [], superProperties: '' },
};

test('a capture without events gets the same response as one with events, and captures nothing', async (t) => {
  const isHeldHere = { reason: ErrorReason.ERROR_REASON_NOT_READY, detail: '' };
  let answer: TokenPermitAnswer = { allowed: false, refusal: isHeldHere };
  const calls: string[] = [];
  const insert = async () => {
    calls.push('store');
    return [];
  };
  const dependencies = {
    access: { permitToken: async () => answer },
    rates: { takeProject: async () => void calls.push('count') },
    capture: { storing: new Storing({ insert }), clock: systemClock },
    onDeadToken: () => calls.push('refuse'),
  };
  const ask = (origin = '') => forwardCapture({ ...question, origin }, fromEu(), dependencies);
  t.is((await refusalOf(ask())).reasonName, 'NOT_READY');
  const release = () => calls.push('release');
  answer = {
    ...{ allowed: true, projectId: 'prj_1', organizationId: 'org_1' },
    project: ProjectFact.fromPartial({ capture: { appUrls: ['https://app.example.com'] } }),
    permit: { release, remainingMs: () => 300_000 },
  };
  t.deepEqual(await ask('https://app.example.com'), { outcomes: [] });
  t.is((await refusalOf(ask('https://evil.example'))).reasonName, 'INVALID_FIELD');
  t.deepEqual(calls, ['release', 'release']);
});
