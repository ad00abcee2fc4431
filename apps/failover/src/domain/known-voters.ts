import type { NodeRole } from '#libs/contracts';

/** Config nodes that this process has heard of, from whomever: the latest incarnation's word counts. */
export interface KnownNode {
  nodeId: string;
  address: string | undefined;
  /** 0: named in the settings, not heard of yet. */
  incarnation: number;
  /** undefined: not heard of yet; a seed counts as a voter until it says otherwise. */
  role: NodeRole | undefined;
}

export type DirectoryChange = 'new' | 'moved' | 'same';

const MAX_NODES = 1_000;

export class KnownVoters {
  private readonly nodes = new Map<string, KnownNode>();

  update(heard: {
    nodeId: string;
    incarnation: number;
    address?: string | null | undefined;
    role?: NodeRole | undefined;
  }): DirectoryChange {
    const known = this.nodes.get(heard.nodeId);
    if (known && heard.incarnation < known.incarnation) return 'same';
    if (!known && this.nodes.size >= MAX_NODES) return 'same';
    const node: KnownNode = {
      nodeId: heard.nodeId,
      incarnation: heard.incarnation,
      address: heard.address ?? known?.address,
      role: heard.role ?? known?.role,
    };
    this.nodes.set(heard.nodeId, node);
    if (!known) return 'new';
    return known.address === node.address ? 'same' : 'moved';
  }

  forget(nodeId: string, incarnation: number): boolean {
    const known = this.nodes.get(nodeId);
    return known !== undefined && known.incarnation <= incarnation && this.nodes.delete(nodeId);
  }

  get(nodeId: string): KnownNode | undefined {
    return this.nodes.get(nodeId);
  }

  all(): KnownNode[] {
    return [...this.nodes.values()];
  }

  voters(): KnownNode[] {
    return this.all().filter((node) => node.role !== 'observer');
  }
}
