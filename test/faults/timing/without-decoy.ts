/**
 * Loaded before a service of a control run (`--import`): nothing is fetched in place of what does not
 * exist, so that it is refused after fewer reads than what is hidden.
 */
import { registerHooks } from 'node:module';

const noDecoy = 'data:text/javascript,export const decoyOrganizationId = () => undefined;';

registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier.endsWith('/decoy.ts') ? noDecoy : specifier, context),
});
