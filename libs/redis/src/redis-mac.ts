import { createHmac, timingSafeEqual } from 'node:crypto';

const FORMAT = 'holdfast-redis-v1';
const MAC_CHARS = 43;

/**
 * Proves that an entry of Redis was written by a process that has the cluster key. An entry is `<mac>:<text>`; the MAC is
 * HMAC-SHA256 over `holdfast-redis-v1`, the Redis key and the text, joined by line feeds, in base64url (43 characters). The
 * Redis key is part of it, so that an entry cannot be moved to another key.
 */
export class RedisMac {
  constructor(private readonly key: Buffer) {}

  seal(redisKey: string, text: string): string {
    return `${this.of(redisKey, text).toString('base64url')}:${text}`;
  }

  /** The text; undefined when the MAC is missing or wrong. */
  open(redisKey: string, sealed: string): string | undefined {
    if (sealed[MAC_CHARS] !== ':') return undefined;
    const text = sealed.slice(MAC_CHARS + 1);
    const given = Buffer.from(sealed.slice(0, MAC_CHARS), 'base64url');
    const expected = this.of(redisKey, text);
    return given.length === expected.length && timingSafeEqual(given, expected) ? text : undefined;
  }

  private of(redisKey: string, text: string): Buffer {
    return createHmac('sha256', this.key).update(`${FORMAT}\n${redisKey}\n${text}`).digest();
  }
}
