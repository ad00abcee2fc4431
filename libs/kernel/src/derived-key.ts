import { hkdfSync } from 'node:crypto';

/** What a key is used for. A key of one purpose proves nothing for another. */
export type KeyPurpose = 'bus-mac' | 'http-mac' | 'redis-mac' | 'request-hash';

/**
 * Derives the key of one purpose from the cluster key: HKDF-SHA256 (RFC 5869) over the UTF-8 bytes of the cluster key,
 * with an empty salt and the info `holdfast/v1/<purpose>`; 32 bytes. Processes authenticate with derived keys only, so
 * that the cluster key itself never travels and one leaked use does not open the others.
 */
export function deriveKey(clusterKey: string, purpose: KeyPurpose): Buffer {
  return Buffer.from(hkdfSync('sha256', clusterKey, '', `holdfast/v1/${purpose}`, 32));
}
