import { AccessServiceService } from '@silo/protos/gen/silo/token/internal/v1/access_service.ts';
import { DirectoryServiceService } from '@silo/protos/gen/silo/token/internal/v1/directory_service.ts';
import { FactServiceService } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import { RegistryServiceService } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import { SecretServiceService } from '@silo/protos/gen/silo/token/internal/v1/secret_service.ts';
import { StaffServiceService } from '@silo/protos/gen/silo/token/internal/v1/staff_service.ts';
import { ApiKeyServiceService } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { ProjectTokenServiceService } from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import { mount } from '@silo/rpc/mount.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { leaseNumbersOf } from '@silo/service/config.ts';
import type { ServiceDefinition } from '@silo/service/service-definition.ts';
import { createAcquire } from './handlers/acquire.ts';
import { createAuthorize } from './handlers/authorize.ts';
import { createAwaitBarrier } from './handlers/await-barrier.ts';
import { createCreateApiKey } from './handlers/create-api-key.ts';
import { createDeleteApiKey } from './handlers/delete-api-key.ts';
import type { Dependencies } from './handlers/dependencies.ts';
import { createDisableApiKey } from './handlers/disable-api-key.ts';
import { createEnableApiKey } from './handlers/enable-api-key.ts';
import { createGetApiKey } from './handlers/get-api-key.ts';
import { createGetKeyFact } from './handlers/get-key-fact.ts';
import { createGetProjectToken } from './handlers/get-project-token.ts';
import { createGetTokenFact } from './handlers/get-token-fact.ts';
import { createIssueApiKey } from './handlers/issue-api-key.ts';
import { createListApiKeys } from './handlers/list-api-keys.ts';
import { createListLiveKeys } from './handlers/list-live-keys.ts';
import { createMakeProjectToken } from './handlers/make-project-token.ts';
import { createPurgeProjectToken } from './handlers/purge-project-token.ts';
import { createRaiseRequirement } from './handlers/raise-requirement.ts';
import { createRegenerateProjectToken } from './handlers/regenerate-project-token.ts';
import { createRelease } from './handlers/release.ts';
import { createRenew } from './handlers/renew.ts';
import { createReportKeyUse } from './handlers/report-key-use.ts';
import { createRollApiKey } from './handlers/roll-api-key.ts';
import { createStoreApiKey } from './handlers/store-api-key.ts';
import { createUpdateApiKey } from './handlers/update-api-key.ts';
import { createVerifyToken } from './handlers/verify-token.ts';
import { MessageKeeper } from './registry/message-keys.ts';
import { openRegistry } from './registry/registry-replica.ts';
import { registrySettingsFor } from './registry/settings.ts';
import { createEndedKeyStore } from './store/ended-keys.ts';
import { createTokenFills } from './store/fills.ts';
import { createKeyStore } from './store/keys.ts';
import { LastUse } from './store/last-use.ts';
import { createLeaseStore } from './store/leases.ts';
import { createMessageKeyStore } from './store/message-keys.ts';
import { createProjectTokenStore } from './store/project-tokens.ts';
import { setUpStore } from './store/set-up.ts';

/** Project tokens and personal API keys. */
export const tokenService: ServiceDefinition = {
  name: 'token',
  setUp: setUpStore,
  fills: createTokenFills,
  openRegistry: ({ client, db, nats, logs, config, log, signal }) =>
    openRegistry({
      store: createLeaseStore(client, db, signal),
      lastUse: new LastUse(createKeyStore(db), systemClock),
      keys: new MessageKeeper({ store: createMessageKeyStore(db, signal), log }),
      ...{ nats, logs },
      subjectPrefix: config.natsSubjectPrefix,
      settings: registrySettingsFor(leaseNumbersOf(config)),
      log,
    }),
  build: ({ db, eventLog, access, ownRegistry: registry, peers, clock }) => {
    if (registry === undefined) throw new TypeError('the token service keeps the registry');
    const endedKeys = createEndedKeyStore(db);
    const dependencies: Dependencies = {
      ...{ eventLog, access, registry, peers, clock, endedKeys },
      projectTokens: createProjectTokenStore(db),
      keys: createKeyStore(db),
      fills: createTokenFills(db),
    };
    return {
      public: [projectTokens(dependencies), apiKeys(dependencies)],
      internal: [
        facts(dependencies),
        leases(dependencies),
        accessAnswers(dependencies),
        secrets(dependencies),
        directory(dependencies),
        staff(dependencies),
      ],
      findEndedKey: (keyHash, signal) => endedKeys.find(keyHash, clock.now(), signal),
    };
  },
};

function projectTokens(dependencies: Dependencies) {
  return mount(ProjectTokenServiceService, {
    getProjectToken: createGetProjectToken(dependencies),
    regenerateProjectToken: createRegenerateProjectToken(dependencies),
  });
}

function apiKeys(dependencies: Dependencies) {
  return mount(ApiKeyServiceService, {
    createApiKey: createCreateApiKey(dependencies),
    getApiKey: createGetApiKey(dependencies),
    listApiKeys: createListApiKeys(dependencies),
    updateApiKey: createUpdateApiKey(dependencies),
    disableApiKey: createDisableApiKey(dependencies),
    enableApiKey: createEnableApiKey(dependencies),
    rollApiKey: createRollApiKey(dependencies),
    deleteApiKey: createDeleteApiKey(dependencies),
  });
}

function facts(dependencies: Dependencies) {
  return mount(FactServiceService, {
    getTokenFact: createGetTokenFact(dependencies),
    getKeyFact: createGetKeyFact(dependencies),
  });
}

function leases(dependencies: Dependencies) {
  return mount(RegistryServiceService, {
    acquire: createAcquire(dependencies),
    renew: createRenew(dependencies),
    release: createRelease(dependencies),
    reportKeyUse: createReportKeyUse(dependencies),
    raiseRequirement: createRaiseRequirement(dependencies),
    awaitBarrier: createAwaitBarrier(dependencies),
  });
}

function accessAnswers(dependencies: Dependencies) {
  return mount(AccessServiceService, {
    verifyToken: createVerifyToken(dependencies),
    authorize: createAuthorize(dependencies),
  });
}

function secrets(dependencies: Dependencies) {
  return mount(SecretServiceService, {
    makeProjectToken: createMakeProjectToken(dependencies),
    storeApiKey: createStoreApiKey(dependencies),
    purgeProjectToken: createPurgeProjectToken(dependencies),
  });
}

function directory(dependencies: Dependencies) {
  return mount(DirectoryServiceService, { listLiveKeys: createListLiveKeys(dependencies) });
}

function staff(dependencies: Dependencies) {
  return mount(StaffServiceService, { issueApiKey: createIssueApiKey(dependencies) });
}
