import type { Edit } from './bundle.mjs';

export const PLANTS: readonly { name: string; firstSeed?: number; edits: readonly Edit[] }[];
