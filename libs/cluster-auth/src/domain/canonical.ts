import { createHmac } from 'node:crypto';

/**
 * Encodes a list of fields so that two different lists never have the same bytes: each field is its length as a
 * 32-bit big-endian number, then its bytes. Text is UTF-8; header values are passed as the bytes of the wire.
 */
export function lengthPrefixed(fields: readonly (string | Buffer)[]): Buffer {
  const parts: Buffer[] = [];
  for (const field of fields) {
    const bytes = typeof field === 'string' ? Buffer.from(field) : field;
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32BE(bytes.length);
    parts.push(length, bytes);
  }
  return Buffer.concat(parts);
}

/** HMAC-SHA256 over the length-prefixed fields; 32 bytes. */
export function macOf(key: Buffer, fields: readonly (string | Buffer)[]): Buffer {
  return createHmac('sha256', key).update(lengthPrefixed(fields)).digest();
}
