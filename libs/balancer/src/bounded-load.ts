/**
 * How many requests a node may have at once when nobody is to have more than its share by a factor (HAProxy,
 * hash-balance-factor, src/lb_chash.c; Mirrokni, Thorup, Zadimoghaddam: Consistent Hashing with Bounded Loads).
 *
 * All slots, the whole of `(active + 1) * factor`, lie in a row and the nodes' shares cut it into pieces at whole
 * slots, so that the pieces sum up to all of them: somebody always has room. Nobody gets none.
 *
 * @param active requests under way at all nodes together
 * @param percent the factor, above 100; 125 lets a node have a quarter more than its share
 * @param before what the shares of the nodes before this one sum up to
 */
export function slotsOf(
  active: number,
  percent: number,
  shares: { before: number; own: number; all: number },
): number {
  const slots = Math.ceil(((active + 1) * percent) / 100);
  return slotsBetween(slots, shares.before, shares.own, shares.all);
}

export function slotsBetween(slots: number, before: number, own: number, all: number): number {
  const end = Math.floor(((before + own) * slots) / all);
  return Math.max(1, end - Math.floor((before * slots) / all));
}
