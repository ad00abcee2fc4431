import { sha256 } from './hashing.js';

/**
 * Highest random weight ("rendezvous") hashing, Thaler and Ravishankar 1998: whoever knows the same members names the
 * same owner of a key, and when a member leaves only its own keys move. Undefined when there is no member.
 */
export function rendezvousOwner(key: string, members: readonly string[]): string | undefined {
  let owner: string | undefined;
  let highest: Buffer | undefined;
  for (const member of members) {
    const weight = sha256(member, '\0', key);
    const order = highest === undefined ? 1 : weight.compare(highest);
    if (order > 0 || (order === 0 && owner !== undefined && member < owner)) {
      owner = member;
      highest = weight;
    }
  }
  return owner;
}
