export interface EjectionLimits {
  consecutiveFailures: number;
  baseMs: number;
  capMs: number;
  /** Of all nodes known; one may always be out, unless it is the only one. */
  maxSharePercent: number;
}

export const EJECTION_LIMITS: EjectionLimits = {
  consecutiveFailures: 5,
  baseMs: 30_000,
  capMs: 300_000,
  maxSharePercent: 33,
};

interface TrackedHost {
  failures: number;
  /** Null while it is in. */
  ejectedUntilMs: number | null;
  /** How often it was ejected; one is forgotten for every `baseMs` spent without. */
  times: number;
  returnedAtMs: number;
}

/**
 * Takes nodes out that fail request after request, whatever their health checks say (Envoy, outlier detection). Each
 * time it is for longer. It says nothing of health: a node that is down by an active check does not count here, and
 * the limit on how many may be out does not keep such a node in.
 */
export class OutlierEjection {
  private readonly nodes = new Map<string, TrackedHost>();

  constructor(private readonly limits: EjectionLimits = EJECTION_LIMITS) {}

  isEjected(id: string): boolean {
    return this.nodes.get(id)?.ejectedUntilMs != null;
  }

  /** Failures since its last success. */
  failuresOf(id: string): number {
    return this.nodes.get(id)?.failures ?? 0;
  }

  get ejected(): number {
    let count = 0;
    for (const { ejectedUntilMs } of this.nodes.values()) if (ejectedUntilMs !== null) count += 1;
    return count;
  }

  succeeded(id: string): void {
    const node = this.nodes.get(id);
    if (node !== undefined && node.failures > 0) node.failures = 0;
  }

  /** @returns for how long the node is ejected, when it is ejected now */
  failed(id: string, nowMs: number, known: number): number | undefined {
    const node = this.watched(id, nowMs);
    node.failures += 1;
    if (node.ejectedUntilMs !== null || node.failures < this.limits.consecutiveFailures) return undefined;
    if (this.ejected >= this.most(known)) return undefined;
    const { baseMs, capMs } = this.limits;
    node.times = Math.max(0, node.times - Math.floor((nowMs - node.returnedAtMs) / baseMs)) + 1;
    const forMs = Math.min(capMs, baseMs * node.times);
    node.ejectedUntilMs = nowMs + forMs;
    return forMs;
  }

  /** An active check found the node good. @returns whether that put it back */
  checkedGood(id: string, nowMs: number): boolean {
    const node = this.nodes.get(id);
    if (node?.ejectedUntilMs == null) return false;
    this.putBack(node, nowMs);
    return true;
  }

  /** @returns the nodes whose time is over */
  tick(nowMs: number): string[] {
    const back: string[] = [];
    for (const [id, node] of this.nodes) {
      if (node.ejectedUntilMs === null || node.ejectedUntilMs > nowMs) continue;
      this.putBack(node, nowMs);
      back.push(id);
    }
    return back;
  }

  forget(id: string): void {
    this.nodes.delete(id);
  }

  private putBack(node: TrackedHost, nowMs: number): void {
    node.ejectedUntilMs = null;
    node.failures = 0;
    node.returnedAtMs = nowMs;
  }

  private most(known: number): number {
    if (known < 2) return 0;
    return Math.max(1, Math.floor((known * this.limits.maxSharePercent) / 100));
  }

  private watched(id: string, nowMs: number): TrackedHost {
    let node = this.nodes.get(id);
    if (node === undefined) {
      node = { failures: 0, ejectedUntilMs: null, times: 0, returnedAtMs: nowMs };
      this.nodes.set(id, node);
    }
    return node;
  }
}
