/**
 * What to do when bytes of the log could not be read. One node may be damaged: another is asked. A second node that
 * sends the same version in a form that cannot be read shows that it is the version; so does the only node there is
 * when it does so again and again. That version is then left out, and watchers are told that history is gone: no change
 * may stop all that come after it.
 */
export class UnreadableLog {
  private version: number | undefined;
  private readonly nodes = new Set<string>();
  private times = 0;

  /** `after` = the version up to which the log could be read. */
  damaged(after: number, nodeId: string): 'read-elsewhere' | 'leave-out' {
    if (this.version !== after) this.reset();
    this.version = after;
    this.nodes.add(nodeId);
    this.times += 1;
    if (this.nodes.size < NODES && this.times < TIMES_OF_ONE_NODE) return 'read-elsewhere';
    this.reset();
    return 'leave-out';
  }

  private reset(): void {
    this.version = undefined;
    this.nodes.clear();
    this.times = 0;
  }
}

const NODES = 2;
const TIMES_OF_ONE_NODE = 5;
