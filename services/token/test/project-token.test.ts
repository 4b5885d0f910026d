import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import test from 'ava';
import {
  adoptToken,
  endAdoption,
  firstToken,
  presentToken,
  purgeAdopted,
  purgeToken,
  replaceToken,
  retireToken,
} from '../rules/project-token.ts';
import type { ProjectDocument } from '../store/documents.ts';
import { now, secretNamed } from './support.ts';

const occasion = { actor: 'acc_1', now };
const tokenNamed = (token: string) => {
  const { hash, fingerprint } = secretNamed(token);
  return { token, hash, fingerprint };
};
const old = tokenNamed('old');
const fresh = tokenNamed('fresh');
const { after: project } = firstToken('prj_1', old, occasion);
const any = { organizationId: 'org_us_1', expectedFingerprint: '' };

test('a new token revokes the old one, and the revocation event comes first', (t) => {
  const { after, events } = replaceToken(project, fresh, any, occasion);
  t.is(after.current?.token, 'fresh');
  t.is(after.revision, 3);
  t.like(events, [
    {
      event: 'revoked',
      subject: 'prj_1',
      body: {
        organizationId: 'org_us_1',
        fingerprint: old.fingerprint,
        newFingerprint: fresh.fingerprint,
        revision: 2,
      },
    },
    {
      event: 'created',
      subject: 'prj_1',
      body: { fingerprint: fresh.fingerprint, revision: 3 },
    },
  ]);
});

test('a request that expects another token than the current one does not replace it', (t) => {
  const expecting = (expectedFingerprint: string) => () =>
    replaceToken(project, fresh, { ...any, expectedFingerprint }, occasion);
  t.notThrows(expecting(old.fingerprint));
  t.like(t.throws(expecting(fresh.fingerprint)), {
    reason: ErrorReason.ERROR_REASON_FINGERPRINT_MISMATCH,
  });
});

test('a token can be neither read nor replaced before its creation', (t) => {
  const notReady = { reason: ErrorReason.ERROR_REASON_NOT_READY };
  t.like(
    t.throws(() => presentToken(undefined)),
    notReady,
  );
  t.like(
    t.throws(() => replaceToken(undefined, fresh, any, occasion)),
    notReady,
  );
});

test('a purge revokes the token once, and leaves a mark so that none is created again', (t) => {
  const purged = purgeToken('prj_1', project, occasion);
  t.deepEqual(purged?.after, { _id: 'prj_1', purgeTime: now, revision: 2 });
  t.like(purged?.events, [{ event: 'revoked', body: { fingerprint: old.fingerprint } }]);
  t.is(purgeToken('prj_1', purged?.after, occasion), undefined);
  t.deepEqual(purgeToken('prj_2', undefined, occasion), {
    after: { _id: 'prj_2', purgeTime: now, revision: 0 },
    events: [],
  });
});

const brought = { token: fresh, revision: 5, migrationId: 'mig_us_1' };

test('a token from another region is created here, with a later revision than it had there', (t) => {
  const adopted = adoptToken('prj_1', undefined, brought, occasion);
  t.like(adopted?.after, { _id: 'prj_1', current: { token: 'fresh' }, revision: 6 });
  t.like(adopted?.events, [
    { event: 'created', subject: 'prj_1', body: { fingerprint: fresh.fingerprint, revision: 6 } },
  ]);
  t.is(adopted?.events.length, 1);
});

test('a token from another region replaces the token of an earlier stay', (t) => {
  const { events, after } = adoptToken('prj_1', project, brought, occasion) ?? {};
  t.like(after, { current: { token: 'fresh' }, revision: 7 });
  t.like(events, [
    {
      event: 'revoked',
      body: { fingerprint: old.fingerprint, newFingerprint: fresh.fingerprint, revision: 6 },
    },
    { event: 'created', body: { revision: 7 } },
  ]);
  const purged = purgeToken('prj_1', project, occasion)?.after;
  const ended = purgeToken('prj_1', after, occasion)?.after;
  t.is(adoptToken('prj_1', ended, brought, occasion), undefined, 'a late repeat');
  const again = adoptToken('prj_1', purged, { ...brought, revision: 1 }, occasion);
  t.like(again?.after, { current: { token: 'fresh' }, revision: 3 });
  t.is(again?.after.purgeTime, undefined);
});

test('the end of a cancelled migration purges the token that it brought, and no later one', (t) => {
  const here = adoptToken('prj_1', undefined, brought, occasion)?.after;
  const purged = purgeAdopted('prj_1', here, brought.migrationId, occasion);
  t.like(purged?.after, { current: undefined, purgeTime: now });
  t.like(purged?.events, [{ event: 'revoked', body: { fingerprint: fresh.fingerprint } }]);
  t.is(purgeAdopted('prj_1', purged?.after, brought.migrationId, occasion), undefined);
  const later = { ...brought, revision: 9, migrationId: 'mig_us_2' };
  const again = adoptToken('prj_1', purged?.after, later, occasion)?.after;
  t.is(again?.current?.token, 'fresh');
  t.is(purgeAdopted('prj_1', again, brought.migrationId, occasion), undefined);
  const other = purgeAdopted('prj_1', project, brought.migrationId, occasion);
  t.deepEqual(other, { after: { ...project, over: [brought.migrationId] }, events: [] });
  t.deepEqual(purgeAdopted('prj_1', undefined, brought.migrationId, occasion)?.events, []);
});

test('a token is adopted once: it replaces an earlier token, but not one that has replaced it here', (t) => {
  const here = adoptToken('prj_1', undefined, brought, occasion)?.after;
  t.is(adoptToken('prj_1', here, brought, occasion), undefined);
  const regenerated = replaceToken(here, tokenNamed('newer'), any, occasion).after;
  t.is(adoptToken('prj_1', regenerated, brought, occasion), undefined);
  const later = { ...brought, token: tokenNamed('later'), revision: 7 };
  t.like(adoptToken('prj_1', here, later, occasion)?.after.current, { token: 'later' });
  const next = { ...brought, migrationId: 'mig_us_2' };
  t.like(adoptToken('prj_1', regenerated, next, occasion)?.after.current, { token: 'fresh' });
});

test('a token belongs to the last migration that brought it, even if it was here already', (t) => {
  const first = adoptToken('prj_1', undefined, brought, occasion)?.after;
  const second = { ...brought, migrationId: 'mig_us_2', revision: 6 };
  const again = adoptToken('prj_1', first, second, occasion);
  const noted = { adopted: { migrationId: 'mig_us_2', revision: 6 }, over: ['mig_us_1'] };
  t.deepEqual(again, { after: { ...first, ...noted } as ProjectDocument, events: [] });
  t.is(adoptToken('prj_1', again?.after, second, occasion), undefined);
  t.is(purgeAdopted('prj_1', again?.after, brought.migrationId, occasion), undefined);
  t.is(purgeAdopted('prj_1', again?.after, second.migrationId, occasion)?.after.current, undefined);
});

test('a migration that is over brings no token, and takes no token of another migration', (t) => {
  const first = adoptToken('prj_1', undefined, brought, occasion)?.after;
  const second = { ...brought, migrationId: 'mig_us_2', revision: 6 };
  const taken = adoptToken('prj_1', first, second, occasion)?.after;
  t.is(
    adoptToken('prj_1', taken, brought, occasion),
    undefined,
    'another migration has brought it since',
  );
  const ended = purgeAdopted('prj_1', undefined, brought.migrationId, occasion)?.after;
  t.like(ended, { current: undefined });
  t.is(
    adoptToken('prj_1', ended, brought, occasion),
    undefined,
    'the first call arrives after the end',
  );
  const here = adoptToken('prj_1', ended, second, occasion)?.after;
  const regenerated = replaceToken(here, tokenNamed('newer'), any, occasion).after;
  const gone = purgeToken('prj_1', regenerated, occasion)?.after;
  for (const later of [here, regenerated, gone]) {
    t.is(adoptToken('prj_1', later, brought, occasion), undefined);
  }
});

test('the end of a cancelled migration keeps the token of a project that was here before, and late calls bring none', (t) => {
  const left = { organizationId: 'org_us_1', migrationId: 'mig_us_0' };
  const away = retireToken(project, left, occasion)?.after;
  const adopted = adoptToken('prj_1', away, brought, occasion)?.after;
  const over = [left.migrationId, brought.migrationId];
  for (const [present, changes, events] of [
    [away, {}, []],
    [adopted, { isRetired: true, revision: 8 }, ['revoked']],
  ] as const) {
    const ended = endAdoption('prj_1', present, brought.migrationId, occasion);
    t.deepEqual(ended?.after, { ...present, ...changes, over } as ProjectDocument);
    t.deepEqual(
      ended?.events.map(({ event }) => event),
      [...events],
    );
    const late = { ...brought, revision: 9 };
    t.is(adoptToken('prj_1', ended?.after, late, occasion), undefined, 'a late call');
    t.is(endAdoption('prj_1', ended?.after, brought.migrationId, occasion), undefined, 'a repeat');
    const next = { ...late, migrationId: 'mig_us_2' };
    t.is(adoptToken('prj_1', ended?.after, next, occasion)?.after.current?.token, 'fresh');
  }
  const unknown = endAdoption('prj_2', undefined, brought.migrationId, occasion)?.after;
  t.is(adoptToken('prj_2', unknown, brought, occasion), undefined);
});

test('the next migration after a cancelled one creates the token of an absent project again', (t) => {
  const left = { organizationId: 'org_us_1', migrationId: 'mig_us_1' };
  const away = retireToken(project, left, occasion)?.after;
  const back = { token: old, revision: 9, migrationId: 'mig_eu_2' };
  const came = adoptToken('prj_1', away, back, occasion)?.after;
  const { after, events } = endAdoption('prj_1', came, back.migrationId, occasion) ?? {};
  t.like(after, { current: project.current, isRetired: true, revision: 11 });
  t.like(events, [{ event: 'revoked', body: { fingerprint: old.fingerprint, revision: 11 } }]);
  t.is(retireToken(after, left, occasion), undefined, 'a late repeat');
  const next = { ...back, migrationId: 'mig_eu_3' };
  t.like(adoptToken('prj_1', after, next, occasion)?.events, [{ event: 'created' }]);
});

test('late calls to retire a token change nothing, however often the project has left since', (t) => {
  const occasionOf = (migrationId: string) => ({ organizationId: 'org_us_1', migrationId });
  const leave = (from: ProjectDocument | undefined, migrationId: string) =>
    retireToken(from, occasionOf(migrationId), occasion)?.after;
  const back = (from: ProjectDocument | undefined, migrationId: string) =>
    adoptToken('prj_1', from, { token: old, revision: 9, migrationId }, occasion)?.after;
  const here = back(leave(back(leave(project, 'mig_us_1'), 'mig_eu_2'), 'mig_us_3'), 'mig_eu_4');
  t.is(here?.isRetired, undefined);
  for (const late of ['mig_us_1', 'mig_us_3']) t.is(leave(here, late), undefined);
  t.true(leave(here, 'mig_us_5')?.isRetired);
});

test('a token that leaves with its project is revoked only by an event, once for each migration', (t) => {
  const left = { organizationId: 'org_us_1', migrationId: 'mig_us_1' };
  const retired = retireToken(project, left, occasion);
  t.like(retired?.after, { current: { token: 'old' }, revision: 2 });
  t.like(retired?.events, [
    {
      event: 'revoked',
      body: { organizationId: 'org_us_1', fingerprint: old.fingerprint, revision: 2 },
    },
  ]);
  t.is(retireToken(retired?.after, left, occasion), undefined);
  const again = { ...left, migrationId: 'mig_us_2' };
  t.is(retireToken(retired?.after, again, occasion)?.after.revision, 3);
  t.is(retireToken(undefined, left, occasion), undefined);
});

test('a token that comes back with its project is created again unchanged', (t) => {
  const left = { organizationId: 'org_us_1', migrationId: 'mig_us_1' };
  const away = retireToken(project, left, occasion)?.after;
  const back = { token: old, revision: 9, migrationId: 'mig_eu_2' };
  const { after, events } = adoptToken('prj_1', away, back, occasion) ?? {};
  t.deepEqual(after?.current, project.current);
  t.is(after?.isRetired, undefined);
  t.like(events, [{ event: 'created', body: { fingerprint: old.fingerprint, revision: 10 } }]);
  t.is(events?.length, 1);
  t.is(adoptToken('prj_1', after, back, occasion), undefined);
  t.is(retireToken(after, left, occasion), undefined, 'a late repeat');
});

test('no event contains the token itself', (t) => {
  const { events } = replaceToken(project, tokenNamed('phc_secret'), any, occasion);
  t.false(JSON.stringify(events).includes('phc_secret'));
});
