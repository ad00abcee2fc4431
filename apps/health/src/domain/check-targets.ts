/** The config nodes there are, from whomever this process has heard of them: the latest incarnation's word counts. */
export interface CheckTarget {
  nodeId: string;
  address: string | undefined;
  /** 0: named in the settings, not heard of yet. */
  incarnation: number;
}

export type TargetChange = 'new' | 'moved' | 'same';

const MAX_TARGETS = 1_000;

export class CheckTargets {
  private readonly nodes = new Map<string, CheckTarget>();

  update(heard: { nodeId: string; incarnation: number; address?: string | null | undefined }): TargetChange {
    const { nodeId, incarnation } = heard;
    const known = this.nodes.get(nodeId);
    if (known && incarnation < known.incarnation) return 'same';
    if (!known && this.nodes.size >= MAX_TARGETS) return 'same';
    const address = heard.address ?? known?.address;
    this.nodes.set(nodeId, { nodeId, incarnation, address });
    if (!known) return 'new';
    return known.address === address ? 'same' : 'moved';
  }

  forget(nodeId: string, incarnation: number): boolean {
    const known = this.nodes.get(nodeId);
    return known !== undefined && known.incarnation <= incarnation && this.nodes.delete(nodeId);
  }

  get(nodeId: string): CheckTarget | undefined {
    return this.nodes.get(nodeId);
  }

  all(): CheckTarget[] {
    return [...this.nodes.values()];
  }
}
