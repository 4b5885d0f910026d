import type { Cli } from '../cli.ts';
import { group } from '../group.ts';
import { projectCreate, projectCreateRecommended } from './project-create.ts';
import { projectDelete } from './project-delete.ts';
import { projectRename } from './project-rename.ts';
import { projectSettings } from './project-settings.ts';
import { projectShow } from './project-show.ts';
import { projectUndelete } from './project-undelete.ts';

export function project(cli: Cli) {
  return group(
    'project',
    'One project: create, rename, settings, delete. All of them: silo projects.',
    [
      projectShow(cli),
      projectCreate(cli),
      projectCreateRecommended(cli),
      projectRename(cli),
      projectSettings(cli),
      projectDelete(cli),
      projectUndelete(cli),
    ],
  );
}
