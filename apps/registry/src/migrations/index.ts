import { migration0001 } from './0001-registry.js';
import { migration0002 } from './0002-evidence.js';
import { migration0003 } from './0003-positions.js';

export const REGISTRY_MIGRATIONS: readonly string[] = [migration0001, migration0002, migration0003];
