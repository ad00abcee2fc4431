/**
 * Which nodes to bring up to date, and when. A node may be behind by anything for a moment: the broadcast is on its
 * way. One that has been behind for longer is pushed; one that stays behind is told of. Pure: told the time.
 */
export interface LagSettings {
  /** Behind for this long: push. */
  pushAfterMs: number;
  /** Behind for this long: tell the world, and again at this interval. */
  lagging: { afterMs: number; everyMs: number };
  /** Further behind than this, a node is left to load a snapshot, which is quicker than its history. */
  maxPushVersions: number;
  backoff: (failures: number) => number;
}

export type LagAction =
  | { type: 'push'; nodeId: string; after: number }
  | { type: 'lagging'; nodeId: string; version: number; behindMs: number };

interface Tracked {
  incarnation: number;
  version: number;
  behindSinceMs: number | undefined;
  pushing: boolean;
  failures: number;
  notBeforeMs: number;
  toldAtMs: number;
}

const MAX_NODES = 1_000;

export class LagTracker {
  private readonly nodes = new Map<string, Tracked>();
  private head = 0;

  constructor(private readonly settings: LagSettings) {}

  headAt(version: number, nowMs: number): void {
    // A head that went back has lost versions: what nodes hold beyond it is not for us to judge.
    this.head = version;
    for (const node of this.nodes.values()) this.compare(node, nowMs);
  }

  nodeAt(nodeId: string, incarnation: number, version: number, nowMs: number): void {
    const known = this.nodes.get(nodeId);
    if (known && incarnation < known.incarnation) return;
    if (known?.incarnation === incarnation) {
      // What it says may be older than what it answered to a push; a node that had to go back says so later again.
      if (!known.pushing || version > known.version) known.version = version;
      this.compare(known, nowMs);
      return;
    }
    if (!known && this.nodes.size >= MAX_NODES) return;
    const node: Tracked = {
      incarnation,
      version,
      behindSinceMs: undefined,
      pushing: known?.pushing ?? false,
      failures: 0,
      notBeforeMs: Number.NEGATIVE_INFINITY,
      toldAtMs: Number.NEGATIVE_INFINITY,
    };
    this.nodes.set(nodeId, node);
    this.compare(node, nowMs);
  }

  forget(nodeId: string): void {
    this.nodes.delete(nodeId);
  }

  /** One push is under way per node at most: whoever carries it out reports back with `pushed` or `failed`. */
  step(nowMs: number): LagAction[] {
    const { pushAfterMs, maxPushVersions, lagging } = this.settings;
    const actions: LagAction[] = [];
    for (const [nodeId, node] of this.nodes) {
      if (node.behindSinceMs === undefined) continue;
      const behindMs = nowMs - node.behindSinceMs;
      const isDue = behindMs >= pushAfterMs && nowMs >= node.notBeforeMs && !node.pushing;
      if (isDue && this.head - node.version <= maxPushVersions) {
        node.pushing = true;
        actions.push({ type: 'push', nodeId, after: node.version });
      }
      if (behindMs >= lagging.afterMs && nowMs - node.toldAtMs >= lagging.everyMs) {
        node.toldAtMs = nowMs;
        actions.push({ type: 'lagging', nodeId, version: node.version, behindMs });
      }
    }
    return actions;
  }

  /** The node took a batch and stands at `version` now. True: go on with the next one at once. */
  pushed(nodeId: string, version: number, nowMs: number): boolean {
    const node = this.nodes.get(nodeId);
    if (!node) return false;
    // Taken without an error and yet no further: asking at once again would only turn in a circle.
    if (version <= node.version) return this.failed(nodeId, nowMs);
    node.version = version;
    node.failures = 0;
    this.compare(node, nowMs);
    node.pushing = node.behindSinceMs !== undefined;
    return node.pushing;
  }

  failed(nodeId: string, nowMs: number): false {
    const node = this.nodes.get(nodeId);
    if (!node) return false;
    node.pushing = false;
    node.notBeforeMs = nowMs + this.settings.backoff(node.failures++);
    return false;
  }

  versionOf(nodeId: string): number | undefined {
    return this.nodes.get(nodeId)?.version;
  }

  get headVersion(): number {
    return this.head;
  }

  /** Node, incarnation and version of all. */
  positions(): { nodeId: string; incarnation: number; version: number }[] {
    return [...this.nodes].map(([nodeId, { incarnation, version }]) => ({ nodeId, incarnation, version }));
  }

  private compare(node: Tracked, nowMs: number): void {
    if (node.version >= this.head) node.behindSinceMs = undefined;
    else node.behindSinceMs ??= nowMs;
  }
}
