import { LIMITS } from '#libs/contracts';

/** When a watcher that does not read is cut: it comes back with `Last-Event-ID` and misses nothing. */
export interface SlowPolicy {
  /** More unread bytes than this, and the watcher is blocked. */
  blockAboveBytes: number;
  /** Blocked for longer, and it is cut. */
  blockedForMs: number;
  /** Blocked and further behind than this many versions, and it is cut: memory would soon not reach back to it. */
  blockedBehindVersions: number;
}

export const SLOW_POLICY: SlowPolicy = {
  blockAboveBytes: 256 * 1024,
  blockedForMs: 10_000,
  blockedBehindVersions: LIMITS.windowVersions / 2,
};

/** Whether a blocked watcher is cut. `behindVersions` is 0 of one that is live. */
export function isTooSlow(policy: SlowPolicy, blockedForMs: number, behindVersions: number): boolean {
  return blockedForMs > policy.blockedForMs || behindVersions > policy.blockedBehindVersions;
}
