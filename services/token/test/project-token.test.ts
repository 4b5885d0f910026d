import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import test from 'ava';
import { firstToken, presentToken, purgeToken, replaceToken } from '../rules/project-token.ts';
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

test('before its creation, a token is neither returned nor replaced', (t) => {
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

test('a purge revokes the token once, and leaves a mark so that none is made again', (t) => {
  const purged = purgeToken('prj_1', project, occasion);
  t.deepEqual(purged?.after, { _id: 'prj_1', purgeTime: now, revision: 2 });
  t.like(purged?.events, [{ event: 'revoked', body: { fingerprint: old.fingerprint } }]);
  t.is(purgeToken('prj_1', purged?.after, occasion), undefined);
  t.deepEqual(purgeToken('prj_2', undefined, occasion), {
    after: { _id: 'prj_2', purgeTime: now, revision: 0 },
    events: [],
  });
});

test('no event holds the token itself', (t) => {
  const { events } = replaceToken(project, tokenNamed('phc_secret'), any, occasion);
  t.false(JSON.stringify(events).includes('phc_secret'));
});
