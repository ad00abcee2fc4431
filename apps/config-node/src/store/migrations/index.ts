import { migration0001 } from './0001-config.js';
import { migration0002 } from './0002-consistency.js';
import { migration0003 } from './0003-discarded-histories.js';
import { migration0004 } from './0004-retention.js';
import { migration0005 } from './0005-namespace-pages.js';
import { migration0006 } from './0006-claim-bound.js';

/** In order, and only ever added to: the position is the schema's version. */
export const CONFIG_MIGRATIONS: readonly string[] = [
  migration0001,
  migration0002,
  migration0003,
  migration0004,
  migration0005,
  migration0006,
];
