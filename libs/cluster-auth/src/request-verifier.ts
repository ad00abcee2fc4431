import { type Clock, deriveKey, systemClock } from '#libs/kernel';
import { readProof, readSlotAt, slotOfReadProof } from './domain/read-proof.js';
import { SeenNonces } from './domain/seen-nonces.js';
import { CLOCK_WINDOW_MS, type SignatureFault, signatureFault } from './domain/signature-fault.js';
import { parseSignature, type RequestToSign } from './domain/signed-request.js';

/** More signed requests than a process can answer within the window. */
const MAX_NONCES = 1_000_000;

export type SignatureVerdict =
  /** The body must have this hash. */
  { accepted: true; bodyHash: Buffer } | { accepted: false; fault: SignatureFault; behindMs: number };

/** Verifies what other processes of the cluster sign. */
export class RequestVerifier {
  private readonly key: Buffer;
  private readonly nonces: SeenNonces;
  private readonly startedMs: number;
  /** The read proof that was verified last: all gateways show the same one for a minute. */
  private known = { proof: '', authority: '', slot: -1 };

  constructor(
    clusterKey: string,
    private readonly clock: Clock = systemClock,
    maxNonces = MAX_NONCES,
  ) {
    this.key = deriveKey(clusterKey, 'http-mac');
    this.nonces = new SeenNonces(CLOCK_WINDOW_MS, maxNonces);
    this.startedMs = Math.floor(clock.wallMs());
  }

  /** Judges a request by its headers; one that is accepted is not accepted a second time. */
  verify(text: string, request: RequestToSign, isOwnAuthority: boolean): SignatureVerdict {
    const signature = parseSignature(text);
    if (signature === undefined) return { accepted: false, fault: 'malformed', behindMs: 0 };
    const { key, nonces, startedMs } = this;
    const nowMs = this.clock.wallMs();
    const fault = signatureFault(signature, request, { key, nowMs, startedMs, nonces, isOwnAuthority });
    if (fault === undefined) return { accepted: true, bodyHash: signature.bodyHash };
    return { accepted: false, fault, behindMs: Math.round(nowMs - signature.unixMs) };
  }

  /** Whether the proof belongs to a gateway of this cluster that reads at `authority`. */
  isReadProof(text: string, authority: string): boolean {
    const present = readSlotAt(this.clock.wallMs());
    const { known } = this;
    if (text === known.proof && authority === known.authority) return Math.abs(known.slot - present) <= 1;
    const slot = slotOfReadProof(text);
    if (slot === undefined || Math.abs(slot - present) > 1) return false;
    // The time of this comparison may tell of the proof: it opens nothing that is not public, and lasts two minutes.
    if (text !== readProof(this.key, authority, slot)) return false;
    this.known = { proof: text, authority, slot };
    return true;
  }
}
