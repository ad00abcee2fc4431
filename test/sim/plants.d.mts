import type { Edit } from './bundle.mjs';

export const PLANTS: readonly { name: string; edits: readonly Edit[] }[];
