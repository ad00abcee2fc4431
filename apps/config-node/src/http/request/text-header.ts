import { HEADERS, isStorableText, LIMITS, Problem } from '#libs/contracts';
import { decodeWireText } from './wire-text.js';

/** A header of percent-encoded UTF-8, such as `Holdfast-Comment`. Throws 400. */
export function textHeader(name: string, header: string | string[] | undefined): string | null {
  if (header === undefined) return null;
  const encoded = Array.isArray(header) ? header.join(', ') : header;
  let text: string;
  try {
    text = decodeWireText(encoded);
  } catch (cause) {
    throw new Problem('invalid-request', `${name} is not percent-encoded UTF-8`, {}, { cause });
  }
  const fault = noteFault(text);
  if (fault !== undefined) throw new Problem('invalid-request', `${name} ${fault}`);
  return text;
}

/** Why a comment or an author cannot be kept; undefined when it can. */
export function noteFault(text: string): string | undefined {
  if (!isStorableText(text)) return 'must be well-formed Unicode without U+0000';
  if (Buffer.byteLength(text) > LIMITS.metadataBytes) return `has at most ${LIMITS.metadataBytes} bytes`;
  return undefined;
}

const IDEMPOTENCY_KEY = /^[\x20-\x7e]+$/;

/** `Idempotency-Key`, or null. Throws 400. */
export function idempotencyKey(header: string | string[] | undefined): string | null {
  if (header === undefined) return null;
  if (Array.isArray(header) || !IDEMPOTENCY_KEY.test(header) || header.length > LIMITS.idempotencyKeyBytes) {
    throw new Problem(
      'invalid-request',
      `Idempotency-Key is 1 to ${LIMITS.idempotencyKeyBytes} printable ASCII characters`,
    );
  }
  return header;
}

/**
 * Throws 400 for a request with several idempotency keys: node:http joins them into one that nobody sent.
 * @param rawHeaders names and values in turn
 */
export function demandOneIdempotencyKey(rawHeaders: readonly string[]): void {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() === HEADERS.idempotencyKey) count += 1;
  }
  if (count > 1) throw new Problem('invalid-request', `Idempotency-Key occurs ${count} times`);
}

const VERSION = /^(?:0|[1-9]\d{0,15})$/;

/** A header that is a version, such as `Holdfast-Min-Version`; 0 when absent. Throws 400. */
export function versionHeader(name: string, header: string | string[] | undefined): number {
  if (header === undefined) return 0;
  const version = typeof header === 'string' && VERSION.test(header) ? Number(header) : Number.NaN;
  if (!Number.isSafeInteger(version)) throw new Problem('invalid-request', `${name} is not a version`);
  return version;
}
