export interface Peer {
  id: string;
  address: string | null;
  version: number;
}

/** More nodes than any cluster has: beyond, somebody makes names up. */
const MAX_PEERS = 256;

/** What is heard of the other nodes: where they can be reached, and how far their histories go. */
export class Peers {
  private readonly known = new Map<string, Peer>();
  private headVersion = 0;
  /** Of the versions that anybody was heard to hold, the highest that can be of this history. */
  private highestVersion = 0;

  constructor(
    private readonly ownId: string,
    seeds: readonly { id: string; address: string }[],
    private readonly maxLostTail: number,
  ) {
    for (const { id, address } of seeds) this.known.set(id, { id, address, version: 0 });
  }

  heard(id: string, news: { address?: string | undefined; version?: number | undefined }): void {
    const peer = this.known.get(id) ?? { id, address: null, version: 0 };
    if (!this.known.has(id) && this.known.size >= MAX_PEERS) return;
    if (news.address !== undefined) peer.address = news.address;
    if (news.version !== undefined) {
      peer.version = news.version;
      if (news.version <= this.headVersion + this.maxLostTail) {
        this.highestVersion = Math.max(this.highestVersion, news.version);
      }
    }
    this.known.set(id, peer);
  }

  /** Where the head in the database stands. */
  noteHead(version: number): void {
    this.headVersion = version;
  }

  /**
   * Highest version that anybody was heard to hold. Versions beyond `limit` are left out: no lost tail is that long, so
   * that one absurd version does not hide the true ones.
   */
  highestVersionUpTo(limit: number): number {
    const heard = [this.highestVersion, ...[...this.known.values()].map(({ version }) => version)];
    return Math.max(0, ...heard.filter((version) => version <= limit));
  }

  addressOf(id: string): string | null {
    return this.known.get(id)?.address ?? null;
  }

  /** The others that can be reached, those that hold most first. */
  others(): { id: string; address: string; version: number }[] {
    return [...this.known.values()]
      .flatMap(({ id, address, version }) =>
        address === null || id === this.ownId ? [] : [{ id, address, version }],
      )
      .sort((a, b) => b.version - a.version);
  }
}
