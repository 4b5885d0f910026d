import { Caller, Role } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import { FactServiceClient } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import {
  MigrationPeerServiceClient,
  MigrationPeerServiceService,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { authorizationOf, loadImage, siloMethods } from '@silo/protos/image.ts';
import test, { type ExecutionContext } from 'ava';
import { createChannel } from '../client.ts';
import { type PeerIdentity, roleIn } from '../identity.ts';
import { FollowedTls } from '../tls.ts';
import {
  channelTo,
  connect,
  factService,
  keptLog,
  makeAuthority,
  makeRegions,
  outcomeOf,
  peerService,
  serve,
} from './support.ts';

const otherRegions = new Set(['eu']);
const where = { projectId: '', tokenHash: Buffer.alloc(32) };

async function startProject(t: ExecutionContext) {
  const certificates = await makeRegions(t);
  const tls = await certificates.us('service', 'project');
  const services = [factService(), peerService()];
  const server = await serve(t, { tls, internal: true, otherRegions, services });
  return { certificates, server };
}

test('of another known region only project and its edges have a role, each its own', (t) => {
  const service = Role.ROLE_SERVICE;
  const rows: [PeerIdentity, Role | undefined][] = [
    [{ region: 'us', role: service, name: 'project' }, service],
    [{ region: 'us', role: Role.ROLE_STAFF, name: 'project' }, Role.ROLE_STAFF],
    [{ region: 'eu', role: service, name: 'project' }, Role.ROLE_REGION],
    [{ region: 'eu', role: service, name: 'edge' }, Role.ROLE_REGION_EDGE],
    [{ region: 'ap', role: service, name: 'edge' }, undefined],
    [{ region: 'eu', role: service, name: 'constructor' }, undefined],
    [{ region: 'eu', role: service, name: 'org' }, undefined],
    [{ region: 'eu', role: Role.ROLE_STAFF, name: 'project' }, undefined],
    [{ region: 'eu', role: Role.ROLE_GUARD, name: 'project' }, undefined],
    [{ region: 'ap', role: service, name: 'project' }, undefined],
  ];
  for (const [identity, role] of rows) {
    t.is(roleIn(identity, { region: 'us', otherRegions }), role, JSON.stringify(identity));
  }
  t.is(roleIn({ region: 'eu', role: service, name: 'project' }, { region: 'us' }), undefined);
});

test('ROLE_REGION may call MigrationPeerService, ROLE_REGION_EDGE two of its methods, and no other role any', (t) => {
  const peer = new Set<string>(Object.values(MigrationPeerServiceService).map(({ path }) => path));
  const { forwardCapture, locateHere } = MigrationPeerServiceService;
  const ofEdges: string[] = [forwardCapture.path, locateHere.path];
  const image = loadImage();
  for (const { path, method } of siloMethods(image)) {
    const authorization = authorizationOf(image, method);
    const roles = authorization?.roles ?? [];
    const isOfEdges = roles.includes(Role.ROLE_REGION_EDGE);
    t.is(isOfEdges, ofEdges.includes(path), path);
    const others = roles.filter((role) => role !== Role.ROLE_REGION_EDGE);
    if (peer.has(path)) t.deepEqual(others, [Role.ROLE_REGION], path);
    else t.false(others.includes(Role.ROLE_REGION), path);
    if (peer.has(path)) t.is(authorization?.caller, Caller.CALLER_CERTIFICATE, path);
  }
  t.true(peer.size > 0);
});

test('project of another region may call the methods for regions, as that region, and no others', async (t) => {
  const { certificates, server } = await startProject(t);
  const channel = channelTo(t, server, await certificates.eu('service', 'project'));
  const peer = connect(MigrationPeerServiceClient, channel, { refusals: true });
  t.is((await peer.locateHere(where)).projectId, 'region/eu');
  const facts = connect(FactServiceClient, channel, { refusals: true });
  const call = facts.getMembershipFact({ accountId: '', organizationId: '' });
  t.is(await outcomeOf(call), 'ROLE_REQUIRED');
});

test('an edge of another region may forward captures and check tokens, and call nothing else', async (t) => {
  const { certificates, server } = await startProject(t);
  const channel = channelTo(t, server, await certificates.eu('service', 'edge'));
  const peer = connect(MigrationPeerServiceClient, channel, { refusals: true });
  const capture = { events: [], superProperties: '' };
  const { outcomes } = await peer.forwardCapture({ token: '', capture, origin: '', library: '' });
  t.deepEqual(
    outcomes.map(({ uuid }) => uuid),
    ['region-edge/eu'],
  );
  t.is((await peer.locateHere(where)).projectId, 'region-edge/eu');
  const attempt = { migrationId: `mig_us_${'0'.repeat(26)}`, attempt: 1 };
  t.is(await outcomeOf(peer.commitCutover(attempt)), 'ROLE_REQUIRED');
});

test('no other certificate may call the methods for regions', async (t) => {
  const { certificates, server } = await startProject(t);
  for (const files of [
    await certificates.us('service', 'project'),
    await certificates.us('staff', 'ops'),
    await certificates.eu('service', 'org'),
    await certificates.eu('staff', 'ops'),
  ]) {
    const channel = channelTo(t, server, files);
    const peer = connect(MigrationPeerServiceClient, channel, { refusals: true });
    t.is(await outcomeOf(peer.locateHere(where)), 'ROLE_REQUIRED', files.cert);
  }
});

test('with a CA file for other regions, each CA may issue only identities of its own side', async (t) => {
  const [usCa, euCa] = [await makeAuthority(t, 'us'), await makeAuthority(t, 'eu')];
  const { ca: regionCa } = await euCa('service', 'project');
  const { log } = keptLog();
  const files = { ...(await usCa('service', 'project')), regionCa };
  const tls = new FollowedTls(files, { log });
  t.teardown(() => tls[Symbol.dispose]());
  const services = [factService(), peerService()];
  const server = await serve(t, { tls, internal: true, otherRegions, services });
  for (const [issue, region, name, fact, locate] of [
    [usCa, 'us', 'org', 'OK', 'ROLE_REQUIRED'],
    [usCa, 'eu', 'project', 'ROLE_REQUIRED', 'ROLE_REQUIRED'],
    [euCa, 'us', 'org', 'ROLE_REQUIRED', 'ROLE_REQUIRED'],
    [euCa, 'eu', 'project', 'ROLE_REQUIRED', 'OK'],
  ] as const) {
    const caller = { ...(await issue('service', name, region)), ca: files.ca };
    const channel = channelTo(t, server, caller);
    const facts = connect(FactServiceClient, channel, { refusals: true });
    const peer = connect(MigrationPeerServiceClient, channel, { refusals: true });
    const member = { accountId: '', organizationId: '' };
    t.is(await outcomeOf(facts.getMembershipFact(member)), fact, `${region} ${name}`);
    t.is(await outcomeOf(peer.locateHere(where)), locate, `${region} ${name}`);
  }
});

test('a client trusts the CAs of other regions only for other regions', async (t) => {
  const [usCa, euCa] = [await makeAuthority(t, 'us'), await makeAuthority(t, 'eu')];
  const { log } = keptLog();
  const far = await euCa('service', 'project');
  const files = { ...(await usCa('service', 'project')), regionCa: far.ca };
  const tls = new FollowedTls(files, { log });
  t.teardown(() => tls[Symbol.dispose]());
  const both = { ca: far.ca, cert: far.cert, key: far.key, regionCa: files.ca };
  const farTls = new FollowedTls(both, { log });
  t.teardown(() => farTls[Symbol.dispose]());
  const options = { region: 'eu', otherRegions: new Set(['us']), services: [peerService()] };
  const server = await serve(t, { tls: farTls, internal: true, ...options });
  for (const [isOfOtherRegion, outcome] of [
    [true, 'OK'],
    [false, 'DEPENDENCY_UNAVAILABLE'],
  ] as const) {
    const expected = { region: 'eu', name: 'project', isOfOtherRegion };
    using channel = createChannel(server.address, tls, {}, expected);
    const peer = connect(MigrationPeerServiceClient, channel, { deadlineMs: 60_000 });
    t.is(await outcomeOf(peer.locateHere(where)), outcome);
  }
});

test('a client connects to the service that it expects, and not to the same service of another region', async (t) => {
  const { certificates, server } = await startProject(t);
  const tls = await certificates.eu('service', 'project');
  for (const [region, name, outcome] of [
    ['us', 'project', 'OK'],
    ['eu', 'project', 'DEPENDENCY_UNAVAILABLE'],
    ['us', 'org', 'DEPENDENCY_UNAVAILABLE'],
  ] as const) {
    using channel = createChannel(server.address, tls, {}, { region, name });
    const peer = connect(MigrationPeerServiceClient, channel, { deadlineMs: 60_000 });
    t.is(await outcomeOf(peer.locateHere(where)), outcome, `${region} ${name}`);
  }
});
