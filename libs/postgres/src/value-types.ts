import { types } from 'pg';

const INT8 = 20;
const INT8_ARRAY = 1016;

/** A bigint that a number cannot hold: reading it would lie. */
export class UnsafeInteger extends Error {
  override readonly name = 'UnsafeInteger';
}

/** Postgres' bigint as a number. Versions and terms stay far below 2^53. */
export function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new UnsafeInteger(`bigint ${text} is not a safe integer`);
  return value;
}

/** `{1,2,NULL}` */
function parseInt8Array(text: string): (number | null)[] {
  if (text === '{}') return [];
  return text
    .slice(1, -1)
    .split(',')
    .map((item) => (item === 'NULL' ? null : parseInt8(item)));
}

/** How columns become JavaScript values: the driver's defaults, but bigint as number. */
export const valueTypes: typeof types = {
  ...types,
  getTypeParser: (oid: number, format?: 'text' | 'binary') => {
    if (oid === INT8) return parseInt8;
    if (oid === INT8_ARRAY) return parseInt8Array;
    return format === 'binary' ? types.getTypeParser(oid, 'binary') : types.getTypeParser(oid);
  },
};
