/** The config nodes there are, from whomever this process has heard of them: the latest incarnation's word counts. */
export interface ReportedNode {
  nodeId: string;
  /** 0: named in the settings, not heard of yet. */
  incarnation: number;
  address?: string | null | undefined;
}

const MAX_MEMBERS = 1_000;

export class KnownNodes {
  private readonly nodes = new Map<string, { incarnation: number; address: string | undefined }>();

  update({ nodeId, incarnation, address }: ReportedNode): void {
    const known = this.nodes.get(nodeId);
    if (known ? incarnation < known.incarnation : this.nodes.size >= MAX_MEMBERS) return;
    this.nodes.set(nodeId, { incarnation, address: address ?? known?.address });
  }

  /** True when it was known, and has not come back since. */
  forget(nodeId: string, incarnation: number): boolean {
    const known = this.nodes.get(nodeId);
    return known !== undefined && known.incarnation <= incarnation && this.nodes.delete(nodeId);
  }

  addressOf(nodeId: string): string | undefined {
    return this.nodes.get(nodeId)?.address;
  }

  ids(): string[] {
    return [...this.nodes.keys()].sort();
  }
}
