import { errors, Pool } from 'undici';

/**
 * Connections to nodes, one pool for each address. Idle connections close here long before the node would close
 * them (it waits 72 s), so that a request does not meet a connection that is just going away.
 */
const IDLE_MS = 20_000;
/**
 * Reads that wait for a version hold their connection meanwhile: the bound has to leave room for many of them beside
 * all others. What is above it waits here.
 */
const MAX_CONNECTIONS = 1_024;
/** A connection this old is closed when it is idle, so that what a burst needed does not stay for ever. */
const CONNECTION_LIFE_MS = 600_000;
const CONNECT_TIMEOUT_MS = 1_000;
/** Longer than the longest wait a read may ask for. */
const HEADERS_TIMEOUT_MS = 40_000;
const BODY_TIMEOUT_MS = 20_000;
const SPARE_POOLS = 8;

export class Upstreams {
  private readonly pools = new Map<string, Pool>();
  private readonly lostListeners = new Set<(address: string) => void>();

  /** Told when a node closed a connection that was idle, or reset one in use: often the first sign of its death. */
  onConnectionLost(listener: (address: string) => void): void {
    this.lostListeners.add(listener);
  }

  pool(address: string): Pool {
    let pool = this.pools.get(address);
    if (pool === undefined) {
      pool = new Pool(address, {
        connections: MAX_CONNECTIONS,
        clientTtl: CONNECTION_LIFE_MS,
        pipelining: 1,
        keepAliveTimeout: IDLE_MS,
        keepAliveMaxTimeout: IDLE_MS,
        headersTimeout: HEADERS_TIMEOUT_MS,
        bodyTimeout: BODY_TIMEOUT_MS,
        allowH2: false,
        connect: { timeout: CONNECT_TIMEOUT_MS },
      });
      pool.on('disconnect', (_origin, _targets, error) => {
        if (error instanceof errors.InformationalError) return; // closed from here: idle, aborted
        for (const listener of this.lostListeners) listener(address);
      });
      this.pools.set(address, pool);
    }
    return pool;
  }

  /** Of the pool of that address, without making one. */
  connections(address: string): Record<'open' | 'free' | 'waiting', number> {
    const stats = this.pools.get(address)?.stats;
    return { open: stats?.connected ?? 0, free: stats?.free ?? 0, waiting: stats?.queued ?? 0 };
  }

  /** Closes pools of addresses at which there is no node any more, once there are many. */
  tidy(addresses: readonly string[], onError: (error: unknown) => void): void {
    if (this.pools.size <= addresses.length + SPARE_POOLS) return;
    const known = new Set(addresses);
    for (const [address, pool] of this.pools) {
      if (known.has(address)) continue;
      this.pools.delete(address);
      pool.close().catch(onError);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.pools.values()].map((pool) => pool.destroy()));
    this.pools.clear();
  }
}
