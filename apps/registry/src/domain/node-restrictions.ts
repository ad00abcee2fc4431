import { isFarAhead, type NodeHold } from '#libs/contracts';

interface CurrentRestriction {
  hold: NodeHold;
  /** By this process's own monotonic clock; undefined = not quarantined. */
  untilMs: number | undefined;
}

const MAX_NODES = 10_000;

/**
 * Nodes that are kept out of the rotation, as failover says. A hold is about the node, not about one incarnation of
 * it: the greatest seq counts. A quarantine ends at its time also when nobody is left to say so.
 */
export class NodeRestrictions {
  private readonly held = new Map<string, CurrentRestriction>();

  apply(hold: NodeHold, nowMs: number, wallMs: number): 'taken' | 'old' {
    const known = this.held.get(hold.nodeId);
    if (isFarAhead(known?.hold.seq ?? 0, hold.seq)) return 'old';
    if (known ? hold.seq <= known.hold.seq : this.held.size >= MAX_NODES) return 'old';
    const { quarantinedUntil } = hold;
    const endsMs = quarantinedUntil === null ? Number.NaN : Date.parse(quarantinedUntil);
    const untilMs = Number.isNaN(endsMs) ? undefined : nowMs + (endsMs - wallMs);
    this.held.set(hold.nodeId, { hold, untilMs });
    return 'taken';
  }

  of(nodeId: string, nowMs: number): { drained: boolean; quarantined: boolean } {
    const known = this.held.get(nodeId);
    return {
      drained: known?.hold.drained ?? false,
      quarantined: known?.untilMs !== undefined && nowMs < known.untilMs,
    };
  }

  get(nodeId: string): NodeHold | undefined {
    return this.held.get(nodeId)?.hold;
  }
}
