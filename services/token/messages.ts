import type { ApiKey } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { ProjectToken } from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import { etagOf } from '@silo/tokens/etag.ts';
import { secretExpiry } from './rules/key-secrets.ts';
import { presentToken } from './rules/project-token.ts';
import type { KeyDocument, ProjectDocument } from './store/documents.ts';

/** A key as its owner sees it now. */
export function toApiKey(key: KeyDocument, now: Date): ApiKey {
  const [{ masked, fingerprint }, overlapped] = key.secrets;
  const overlapEnd = overlapped && secretExpiry(key.expireTime, overlapped.expireTime);
  return {
    ...{ id: key._id, accountId: key.accountId, name: key.name, masked, fingerprint },
    ...{ scopes: key.scopes, organizationIds: key.organizationIds, projectIds: key.projectIds },
    ...{ expireTime: key.expireTime, disabled: key.disabled },
    ...{ createTime: key.createTime, updateTime: key.updateTime, lastUseTime: key.lastUseTime },
    overlapExpireTime: overlapEnd !== undefined && overlapEnd > now ? overlapEnd : undefined,
    etag: etagOf(key.revision),
  };
}

/** A project's token as members see it. Refuses with NOT_READY if there is none yet. */
export function toProjectToken(project: ProjectDocument | undefined): ProjectToken {
  const { _id: projectId, current } = presentToken(project);
  const { token, fingerprint, createTime } = current;
  return { projectId, token, fingerprint, createTime };
}
