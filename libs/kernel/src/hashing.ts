import { createHash, timingSafeEqual } from 'node:crypto';

export function sha256(...parts: (Buffer | string)[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** Compares given secrets with the true one in a time that tells nothing of where they differ, nor of their lengths. */
export function secretMatcher(secret: string): (given: string) => boolean {
  const expected = sha256(secret);
  return (given) => timingSafeEqual(sha256(given), expected);
}
