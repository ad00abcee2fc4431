import type { SeenNonces } from './seen-nonces.js';
import { isSameMac, type RequestToSign, requestMac, type Signature } from './signed-request.js';

/**
 * How far the clock of the sender may be from ours, either way. A signature is accepted once within that time, and
 * never later.
 */
export const CLOCK_WINDOW_MS = 60_000;

/** Why a signature is refused; also the label of the log line. */
export type SignatureFault =
  | 'malformed'
  /** Made with another key, or for a request other than this one. */
  | 'wrong-mac'
  /** Made for a receiver at another address. */
  | 'other-receiver'
  | 'clock-apart'
  /** Made before this process started, so that what was accepted then is not known. */
  | 'before-start'
  | 'replayed'
  | 'too-many';

export interface ReceiverState {
  key: Buffer;
  nowMs: number;
  /** Wall clock when the process began to remember nonces. */
  startedMs: number;
  nonces: SeenNonces;
  isOwnAuthority: boolean;
}

/**
 * Judges the signature of a request whose body is not known yet: it must have the hash that the signature names.
 * Accepting a signature uses it up. Undefined: it is accepted.
 */
export function signatureFault(
  signature: Signature,
  request: RequestToSign,
  state: ReceiverState,
): SignatureFault | undefined {
  const { unixMs, nonce } = signature;
  if (!isSameMac(signature.mac, requestMac(state.key, request, signature))) return 'wrong-mac';
  if (!state.isOwnAuthority) return 'other-receiver';
  if (Math.abs(state.nowMs - unixMs) > CLOCK_WINDOW_MS) return 'clock-apart';
  if (unixMs < state.startedMs) return 'before-start';
  const noted = state.nonces.add(nonce, unixMs, state.nowMs);
  if (noted === 'full') return 'too-many';
  return noted === 'seen' ? 'replayed' : undefined;
}
