import { createHmac, timingSafeEqual } from 'node:crypto';

/** The header that carries the MAC: 43 characters of base64url. */
export const MAC_HEADER = 'Holdfast-Mac';
const FORMAT = 'holdfast-bus-v1';

/** What a message is, apart from its payload. Absent parts count as empty. */
export interface AuthenticatedParts {
  kind: 'fact' | 'request' | 'reply';
  /** Of the fact or the question, without the cluster's prefix, with its token. */
  subject: string;
  /** Replies: the subject that the reply is sent to, so that it answers one request only. */
  inbox?: string | undefined;
  /** Facts: `ce-id` and `ce-time`. */
  id?: string | undefined;
  time?: string | undefined;
  /** Error replies: `Nats-Service-Error-Code`. */
  errorCode?: string | undefined;
}

/**
 * Authenticates messages of the bus: whoever may publish on the bus is not believed for that, only who has the cluster
 * key. The MAC is HMAC-SHA256 under `deriveKey(clusterKey, 'bus-mac')` over these lines, joined by line feeds, and the bytes
 * of the payload: `holdfast-bus-v1`, kind, prefix of the cluster, subject, inbox, id, time, error code. None of them can
 * contain a line feed. Nothing limits the time in which a message counts: versions, terms and sequence numbers in the
 * payload carry its order. See docs/bus-authentication.md for known answers.
 */
export class BusMac {
  constructor(
    private readonly key: Buffer,
    private readonly prefix = '',
  ) {}

  sign(parts: AuthenticatedParts, payload: Uint8Array): string {
    return this.digest(parts, payload).toString('base64url');
  }

  verify(mac: string, parts: AuthenticatedParts, payload: Uint8Array): boolean {
    const given = Buffer.from(mac, 'base64url');
    const expected = this.digest(parts, payload);
    return given.length === expected.length && timingSafeEqual(given, expected);
  }

  private digest(parts: AuthenticatedParts, payload: Uint8Array): Buffer {
    const { kind, subject, inbox = '', id = '', time = '', errorCode = '' } = parts;
    const lines = [FORMAT, kind, this.prefix, subject, inbox, id, time, errorCode, ''];
    return createHmac('sha256', this.key).update(lines.join('\n')).update(payload).digest();
  }
}
