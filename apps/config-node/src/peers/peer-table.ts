import type { Clock } from '#libs/kernel';

export interface Peer {
  id: string;
  address: string | null;
  version: number;
}

/** More nodes than any cluster has: beyond, the one that was not heard for longest makes room. */
const MAX_PEERS = 1_024;
/** A node that was not heard for so long is gone for good: under orchestrators every restart may bring a new name. */
const FORGET_AFTER_MS = 10 * 60_000;

/**
 * What is heard of the other nodes: where they can be reached, and how far their histories go. The seeds of the settings stay;
 * of the others those that are heard.
 */
export class PeerTable {
  /** Those not heard for longest come first. */
  private readonly known = new Map<string, Peer & { heardAtMs: number }>();
  private headVersion = 0;
  /** Of the versions that anybody was heard to hold, the highest that can be of this history. */
  private highestVersion = 0;

  constructor(
    private readonly ownId: string,
    seeds: readonly { id: string; address: string }[],
    private readonly maxLostTail: number,
    private readonly clock: Pick<Clock, 'monotonicMs'>,
  ) {
    for (const { id, address } of seeds) {
      this.known.set(id, { id, address, version: 0, heardAtMs: Number.POSITIVE_INFINITY });
    }
  }

  update(id: string, news: { address?: string | undefined; version?: number | undefined }): void {
    const nowMs = this.clock.monotonicMs();
    const peer = this.known.get(id) ?? { id, address: null, version: 0, heardAtMs: nowMs };
    if (!this.known.delete(id)) this.forget(nowMs);
    if (!isSeed(peer)) peer.heardAtMs = nowMs;
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

  /** Makes room for one: forgets those that are gone, and when all are heard the one that was not for longest. */
  private forget(nowMs: number): void {
    for (const [id, peer] of this.known) {
      if (isSeed(peer)) continue;
      if (nowMs - peer.heardAtMs < FORGET_AFTER_MS && this.known.size < MAX_PEERS) return;
      this.known.delete(id);
    }
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

function isSeed({ heardAtMs }: { heardAtMs: number }): boolean {
  return heardAtMs === Number.POSITIVE_INFINITY;
}
