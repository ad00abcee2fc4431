import { createHash } from 'node:crypto';

/**
 * What makes a request with an idempotency key the same request: method, what it is about, its conditions, the type
 * and the bytes of its body. Comments and authors may differ.
 */
export function requestHash(parts: readonly (string | undefined)[], body: Buffer): Buffer {
  return createHash('sha256')
    .update(JSON.stringify(parts.map((part) => part ?? null)))
    .update('\n')
    .update(body)
    .digest();
}
