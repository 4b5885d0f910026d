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
import type { ServiceDefinition, ServiceKit } from '@silo/service/service-definition.ts';
import { createApiKey } from './handlers/create-api-key.ts';
import { deleteApiKey } from './handlers/delete-api-key.ts';
import type { Dependencies } from './handlers/dependencies.ts';
import { disableApiKey } from './handlers/disable-api-key.ts';
import { enableApiKey } from './handlers/enable-api-key.ts';
import { getApiKey } from './handlers/get-api-key.ts';
import { getProjectToken } from './handlers/get-project-token.ts';
import { authorize, verifyToken } from './handlers/internal/access.ts';
import { findTokenProjects, listLiveKeys } from './handlers/internal/directory.ts';
import { getKeyFact, getTokenFact } from './handlers/internal/facts.ts';
import {
  acquire,
  awaitBarrier,
  raiseRequirement,
  release,
  renew,
  reportKeyUse,
} from './handlers/internal/registry.ts';
import {
  adoptProjectToken,
  endProjectTokenAdoption,
  makeProjectToken,
  purgeProjectToken,
  readProjectToken,
  retireProjectToken,
  storeApiKey,
} from './handlers/internal/secrets.ts';
import { issueApiKey } from './handlers/internal/staff.ts';
import { listApiKeys } from './handlers/list-api-keys.ts';
import { regenerateProjectToken } from './handlers/regenerate-project-token.ts';
import { rollApiKey } from './handlers/roll-api-key.ts';
import { updateApiKey } from './handlers/update-api-key.ts';
import { MessageKeeper } from './registry/message-keys.ts';
import { openRegistry } from './registry/registry-replica.ts';
import { registrySettingsFor } from './registry/settings.ts';
import { createEndedKeyStore } from './store/ended-keys.ts';
import { createTokenFactReader } from './store/fact-reader.ts';
import { createKeyStore } from './store/keys.ts';
import { LastUse } from './store/last-use.ts';
import { createLeaseStore } from './store/leases.ts';
import { createMessageKeyStore } from './store/message-keys.ts';
import { createProjectTokenStore } from './store/project-tokens.ts';
import { storeMigrations } from './store/set-up.ts';

/** Project tokens and personal API keys. */
export const tokenService: ServiceDefinition = {
  name: 'token',
  migrations: storeMigrations,
  factReader: createTokenFactReader,
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
  build: ({ db, eventLog, access, localRegistry: registry, peers, clock, propagate }) => {
    if (registry === undefined) throw new TypeError('the token service requires its registry');
    const endedKeys = createEndedKeyStore(db);
    const dependencies: Dependencies = {
      ...{ eventLog, access, registry, peers, clock, endedKeys },
      projectTokens: createProjectTokenStore(db),
      keys: createKeyStore(db),
      factReader: createTokenFactReader(db),
    };
    return {
      public: [projectTokens(dependencies), apiKeys(dependencies)],
      internal: [
        facts(dependencies),
        leases(dependencies),
        accessAnswers(dependencies),
        secrets({ ...dependencies, propagate }),
        directory(dependencies),
        staff(dependencies),
      ],
      findEndedKey: (keyHash, signal) => endedKeys.find(keyHash, clock.now(), signal),
    };
  },
};

function projectTokens(dependencies: Dependencies) {
  return mount(
    ProjectTokenServiceService,
    {
      getProjectToken,
      regenerateProjectToken,
    },
    dependencies,
  );
}

function apiKeys(dependencies: Dependencies) {
  return mount(
    ApiKeyServiceService,
    {
      createApiKey,
      getApiKey,
      listApiKeys,
      updateApiKey,
      disableApiKey,
      enableApiKey,
      rollApiKey,
      deleteApiKey,
    },
    dependencies,
  );
}

function facts(dependencies: Dependencies) {
  return mount(
    FactServiceService,
    {
      getTokenFact,
      getKeyFact,
    },
    dependencies,
  );
}

function leases(dependencies: Dependencies) {
  return mount(
    RegistryServiceService,
    {
      acquire,
      renew,
      release,
      reportKeyUse,
      raiseRequirement,
      awaitBarrier,
    },
    dependencies,
  );
}

function accessAnswers(dependencies: Dependencies) {
  return mount(
    AccessServiceService,
    {
      verifyToken,
      authorize,
    },
    dependencies,
  );
}

function secrets(dependencies: Dependencies & Pick<ServiceKit, 'propagate'>) {
  return mount(
    SecretServiceService,
    {
      makeProjectToken,
      storeApiKey,
      readProjectToken,
      adoptProjectToken,
      retireProjectToken,
      purgeProjectToken,
      endProjectTokenAdoption,
    },
    dependencies,
  );
}

function directory(dependencies: Dependencies) {
  return mount(DirectoryServiceService, { listLiveKeys, findTokenProjects }, dependencies);
}

function staff(dependencies: Dependencies) {
  return mount(StaffServiceService, { issueApiKey }, dependencies);
}
