import { staffCommand } from '../staff.ts';

/**
 * A command for the migrations of the caller's organizations, or with `--staff` for all migrations
 * of a region.
 */
export function withScope(name: string, organizations = 'all of yours') {
  return staffCommand(name)
    .option('--org <organization>', `name or id; default: ${organizations}`)
    .option('--staff', 'as staff, with a certificate instead of a profile');
}
