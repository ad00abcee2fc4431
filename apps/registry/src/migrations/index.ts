import { migration0001 } from './0001-registry.js';

export const REGISTRY_MIGRATIONS: readonly string[] = [migration0001];
