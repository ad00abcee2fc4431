/** After so long without an answer from the other process a node counts as the one that the id belongs to. */
export const ESTABLISHED_MS = 10_000;
/** A process that was not heard for so long is gone. */
export const GONE_MS = 3_000;

export interface HeardProcess {
  incarnation: number;
  address: string;
  stopping: boolean;
}

/**
 * What to do about another process that sends heartbeats under this node's id:
 * none    nothing, or the other one is to end itself
 * ask     whether the older one still answers: then this process ends
 * end     the younger one is established, so the cluster has replaced this process
 * return  the younger one is gone: this process takes a greater incarnation than it had, and is heard again
 */
export type SameIdStep = 'none' | 'ask' | 'end' | 'return';

interface Other extends HeardProcess {
  sinceMs: number;
  heardAtMs: number;
}

/**
 * Two processes with one node id, as by a copied configuration. The younger one, by incarnation, was to find the older one at its
 * start; when that did not answer then (it was frozen, or cut off), and answers soon after, the younger one still ends. A younger one
 * that has lived for a while is what the cluster knows under the id: the older one ends, and its supervisor starts it again.
 */
export class SameId {
  private other: Other | undefined;

  constructor(private readonly startedAtMs: number) {}

  observe(it: HeardProcess, nowMs: number): void {
    const { other } = this;
    const isKnown = other?.incarnation === it.incarnation && other.address === it.address;
    if (other && !isKnown && other.incarnation > it.incarnation && nowMs - other.heardAtMs < GONE_MS) return;
    this.other = { ...it, sinceMs: isKnown ? other.sinceMs : nowMs, heardAtMs: nowMs };
  }

  decide(ownIncarnation: number, nowMs: number): { do: SameIdStep; other?: HeardProcess } {
    const { other } = this;
    if (!other) return { do: 'none' };
    const isGone = other.stopping || nowMs - other.heardAtMs >= GONE_MS;
    if (other.incarnation < ownIncarnation) {
      if (isGone) this.other = undefined;
      const asks = !isGone && nowMs - this.startedAtMs < ESTABLISHED_MS;
      return { do: asks ? 'ask' : 'none', other };
    }
    if (isGone) {
      this.other = undefined;
      return { do: 'return', other };
    }
    return { do: nowMs - other.sinceMs >= ESTABLISHED_MS ? 'end' : 'none', other };
  }
}
