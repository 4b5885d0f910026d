/**
 * Loaded before a service of a control run (`--import`): nothing is fetched in place of a thing
 * that does not exist, so it is refused after fewer reads than a hidden one.
 */
import { registerHooks } from 'node:module';

const noDecoy = 'data:text/javascript,export const decoyOrganizationId = () => undefined;';

registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier.endsWith('/decoy.ts') ? noDecoy : specifier, context),
});
