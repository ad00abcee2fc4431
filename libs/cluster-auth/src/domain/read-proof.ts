import { macOf } from './canonical.js';

/**
 * What a gateway shows with plain reads: `r1.<slot>.<MAC>`, the same for all reads of one minute at one address, so that
 * a read costs no cryptography. It only says that the sender belongs to the cluster: the node then answers under any
 * name, and gateways of another cluster are refused. It gives access to nothing that is not public.
 */
export const READ_SLOT_MS = 60_000;

const FORMAT = 'holdfast-http-read/v1';
const PATTERN = /^r1\.(\d{1,12})\.[\w-]{43}$/;

export function readSlotAt(unixMs: number): number {
  return Math.floor(unixMs / READ_SLOT_MS);
}

export function readProof(key: Buffer, authority: string, slot: number): string {
  const mac = macOf(key, [FORMAT, authority.toLowerCase(), String(slot)]);
  return `r1.${slot}.${mac.toString('base64url')}`;
}

/** The slot that a proof names; undefined when it is none. */
export function slotOfReadProof(text: string): number | undefined {
  const match = PATTERN.exec(text);
  return match === null ? undefined : Number(match[1]);
}
