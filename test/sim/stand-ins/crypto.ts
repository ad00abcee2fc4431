export { createHash, hash, timingSafeEqual } from 'node:crypto';

/** Ids that a process makes up are drawn from its own chance. */
export function randomUUID(): string {
  const digits = Array.from({ length: 32 }, () => Math.floor(Math.random() * 16).toString(16)).join('');
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20),
  ].join('-');
}
