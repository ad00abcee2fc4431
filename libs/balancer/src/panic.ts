export const PANIC_PERCENT = 50;

/**
 * Whether so few nodes are usable that suspicion is dearer than trust (Envoy, healthy_panic_threshold): the few left
 * would take the load of all, and what failed may be on this side.
 */
export function isPanic(usable: number, all: number, belowPercent: number = PANIC_PERCENT): boolean {
  return usable * 100 < all * belowPercent;
}
