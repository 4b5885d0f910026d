import { Command } from '@commander-js/extra-typings';
import type { Cli } from '../cli.ts';
import { projectCreate, projectCreateRecommended } from './project-create.ts';
import { projectDelete } from './project-delete.ts';
import { projectRename } from './project-rename.ts';
import { projectSettings } from './project-settings.ts';
import { projectShow } from './project-show.ts';
import { projectUndelete } from './project-undelete.ts';

export function project(cli: Cli) {
  return new Command('project')
    .description('One project: create, rename, settings, delete.')
    .addCommand(projectCreate(cli))
    .addCommand(projectCreateRecommended(cli))
    .addCommand(projectShow(cli))
    .addCommand(projectRename(cli))
    .addCommand(projectSettings(cli))
    .addCommand(projectDelete(cli))
    .addCommand(projectUndelete(cli));
}
