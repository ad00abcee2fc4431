import { LIMITS } from '#libs/contracts';

/** Bodies of rollbacks and deletes are a few fields at most. */
const SMALL_BODY_BYTES = 64 * 1024;

/** The most bytes that the body of a write may have: what is above is refused before it is buffered. */
export function bodyLimit(method: string, target: string): number {
  if (method === 'PUT') return LIMITS.valueBytes;
  return method === 'POST' && target.startsWith('/v1/changes') ? LIMITS.changeSetBodyBytes : SMALL_BODY_BYTES;
}
