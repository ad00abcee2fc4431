import { migration0001 } from './0001-config.js';

/** In order, and only ever added to: the position is the schema's version. */
export const CONFIG_MIGRATIONS: readonly string[] = [migration0001];
