import { errors, Pool } from 'undici';

/**
 * Connections to nodes: for each address a pool, and another for reads that wait there. Idle connections close here long before the node would close
 * them (it waits 72 s), so that a request does not meet a connection that is just going away.
 */
const IDLE_MS = 20_000;
/** Of one pool. What is above it waits here. */
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
  private readonly waitingPools = new Map<string, Pool>();
  private readonly lostListeners = new Set<(address: string) => void>();

  /** Told when a node closed a connection that was idle, or reset one in use: often the first sign of its death. */
  onConnectionLost(listener: (address: string) => void): void {
    this.lostListeners.add(listener);
  }

  pool(address: string): Pool {
    return this.pools.get(address) ?? this.open(address, this.pools);
  }

  /** For reads that wait at the node: they hold their connections meanwhile, and must not take them from others. */
  waitingPool(address: string): Pool {
    return this.waitingPools.get(address) ?? this.open(address, this.waitingPools);
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
    for (const pools of [this.pools, this.waitingPools]) {
      for (const [address, pool] of pools) {
        if (known.has(address)) continue;
        pools.delete(address);
        pool.close().catch(onError);
      }
    }
  }

  async close(): Promise<void> {
    const all = [...this.pools.values(), ...this.waitingPools.values()];
    this.pools.clear();
    this.waitingPools.clear();
    await Promise.all(all.map((pool) => pool.destroy()));
  }

  private open(address: string, pools: Map<string, Pool>): Pool {
    const pool = new Pool(address, {
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
    pools.set(address, pool);
    return pool;
  }
}
