import type { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { etagOf } from '@silo/tokens/etag.ts';
import type { ProjectDocument } from '../store/documents.ts';

/** A project as the API shows it. */
export function projectMessage(document: ProjectDocument): Project {
  const { _id, organizationId, name, settings, state, createTime, updateTime } = document;
  return {
    id: _id,
    organizationId,
    name,
    settings,
    state,
    createTime,
    updateTime,
    purgeTime: document.purgeTime,
    etag: etagOf(document.revision),
  };
}
