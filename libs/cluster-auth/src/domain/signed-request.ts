import { timingSafeEqual } from 'node:crypto';
import { HEADERS } from '#libs/contracts';
import { macOf } from './canonical.js';

/**
 * The signature of one request between two processes of a cluster. It stands in `Holdfast-Signature` as
 * `v1.<unix-ms>.<nonce>.<SHA-256 of the body>.<MAC>`, hashes in base64url without padding. The MAC proves that the
 * sender has the cluster key without telling it, for this request and this receiver only: whoever is given such a
 * request by mistake can neither change it nor send it to another process.
 */
export interface RequestToSign {
  method: string;
  /** The Host header as it is sent, e.g. `10.0.0.7:7400`. */
  authority: string;
  /** Path and query as they are sent. */
  path: string;
  /** Names and values in turn, in the order in which they are sent. */
  headers: readonly string[];
}

export interface SignatureStamp {
  unixMs: number;
  /** Unique among the requests of all processes within the window of time. */
  nonce: string;
  /** SHA-256 of the body, of no bytes when there is none. */
  bodyHash: Buffer;
}

export interface Signature extends SignatureStamp {
  mac: Buffer;
}

/** Changed whenever the list of fields changes: an old and a new process then refuse one another. */
const FORMAT = 'holdfast-http/v1';

/** Headers that decide what a request does, in the order in which they are signed. */
export const SIGNED_HEADERS: readonly string[] = [
  HEADERS.aimTerm,
  HEADERS.attempt,
  HEADERS.forward,
  HEADERS.forwarded,
  HEADERS.operator,
  HEADERS.author,
  HEADERS.comment,
  HEADERS.minVersion,
  HEADERS.idempotencyKey,
  'content-type',
  'content-encoding',
  'if-match',
  'if-none-match',
];

const PATTERN = /^v1\.(\d{1,15})\.([\w-]{8,64})\.([\w-]{43})\.([\w-]{43})$/;

export function requestMac(key: Buffer, request: RequestToSign, stamp: SignatureStamp): Buffer {
  return macOf(key, [
    FORMAT,
    request.method,
    request.authority.toLowerCase(),
    request.path,
    stamp.bodyHash,
    ...signedFields(request.headers),
    String(stamp.unixMs),
    stamp.nonce,
  ]);
}

export function signatureText(signature: Signature): string {
  const { unixMs, nonce, bodyHash, mac } = signature;
  return `v1.${unixMs}.${nonce}.${bodyHash.toString('base64url')}.${mac.toString('base64url')}`;
}

/** Undefined when it is not of that shape. */
export function parseSignature(text: string): Signature | undefined {
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  const [, unixMs, nonce = '', bodyHash = '', mac = ''] = match;
  return {
    unixMs: Number(unixMs),
    nonce,
    bodyHash: Buffer.from(bodyHash, 'base64url'),
    mac: Buffer.from(mac, 'base64url'),
  };
}

/** Compares in a time that does not depend on the bytes. */
export function isSameMac(given: Buffer, expected: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** Each occurrence counts: a receiver may read a header that is there twice as a list. */
function signedFields(headers: readonly string[]): (string | Buffer)[] {
  const found: { rank: number; name: string; value: string }[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = (headers[i] ?? '').toLowerCase();
    const rank = SIGNED_HEADERS.indexOf(name);
    if (rank >= 0) found.push({ rank, name, value: headers[i + 1] ?? '' });
  }
  found.sort((a, b) => a.rank - b.rank);
  return found.flatMap(({ name, value }) => [name, Buffer.from(value, 'latin1')]);
}
