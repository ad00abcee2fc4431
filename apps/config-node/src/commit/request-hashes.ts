import { createHmac } from 'node:crypto';
import { deriveKey } from '#libs/kernel';

const FORMAT = 2;
const DIGEST_BYTES = 32;

/**
 * The hash of a request as it is stored beside its idempotency key: a byte with the format, 2, and the HMAC-SHA256 of the
 * request's digest under a key derived from the cluster key. The digest alone would let whoever reads the database, or a
 * backup of it, guess a short secret value offline.
 *
 * Releases before stored the digest itself, 32 bytes without a format. From it the present form follows, so that such a
 * row still stands for its request.
 */
export class RequestHashes {
  private readonly key: Buffer;

  constructor(clusterKey: string) {
    this.key = deriveKey(clusterKey, 'request-hash');
  }

  /** @param digest SHA-256 of the request */
  keyed(digest: Buffer): Buffer {
    const mac = createHmac('sha256', this.key).update(digest).digest();
    return Buffer.concat([Buffer.of(FORMAT), mac]);
  }

  /** In the present format, whatever release stored it. */
  current(stored: Buffer | null): Buffer | null {
    return stored?.length === DIGEST_BYTES ? this.keyed(stored) : stored;
  }
}
