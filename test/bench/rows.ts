import type { Row } from './row.ts';
import { mutations } from './rows/mutations.ts';

/** Every row, in the order in which the table has them. */
export const rows: readonly Row[] = [...mutations];
