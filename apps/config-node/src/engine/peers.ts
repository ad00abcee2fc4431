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
  /** Highest version that anybody was heard to hold. */
  highestVersion = 0;

  constructor(
    private readonly ownId: string,
    seeds: readonly { id: string; address: string }[],
  ) {
    for (const { id, address } of seeds) this.known.set(id, { id, address, version: 0 });
  }

  heard(id: string, news: { address?: string | undefined; version?: number | undefined }): void {
    const peer = this.known.get(id) ?? { id, address: null, version: 0 };
    if (!this.known.has(id) && this.known.size >= MAX_PEERS) return;
    if (news.address !== undefined) peer.address = news.address;
    if (news.version !== undefined) {
      peer.version = news.version;
      this.highestVersion = Math.max(this.highestVersion, news.version);
    }
    this.known.set(id, peer);
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
