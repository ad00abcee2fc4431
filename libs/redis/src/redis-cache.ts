import { Redis, type RedisOptions } from 'ioredis';
import { backoffCeilingMs, messageOf, type Rng, systemRng } from '#libs/kernel';
import { RedisMac } from './redis-mac.js';
import { openStamped, SET_IF_NEWER, type Stamp, type Stamped, sealStamped } from './stamped.js';

export interface RedisSettings {
  host: string;
  port: number;
  password?: string | undefined;
  /** With these, `host` and `port` are not used: the Sentinels name the master. */
  sentinels?: { host: string; port: number }[];
  masterName?: string;
  /** Shown in CLIENT LIST. */
  connectionName: string;
  /** 50 ms by default: a cache that is slower than this is not worth the wait. */
  commandTimeoutMs?: number;
  /** `deriveKey(clusterKey, 'redis-mac')`: what stands in Redis is read only with a MAC under this key. */
  macKey: Buffer;
  /** An entry had no valid MAC: somebody else wrote it. It was removed and counts as absent. */
  onForged?: (key: string) => void;
  /** Told of every failed connection; there is nothing to do about it. */
  onError?: (error: Error) => void;
}

/** Redis did not answer, or not in time. Whatever it holds can be had elsewhere: a caller goes on without it. */
export class CacheUnavailable extends Error {
  override readonly name = 'CacheUnavailable';
}

const RECONNECT = { baseMs: 50, capMs: 2_000 };

/** Replies as of protocol 2. */
type Options = Omit<RedisOptions, 'replyMapping'>;

class ScriptedRedis extends Redis {
  declare setIfNewer: (
    key: string,
    incarnation: number,
    seq: number,
    sealed: string,
    ttlMs: number,
  ) => Promise<number>;
}

/**
 * A cache in Redis. Nothing here is the truth, so nothing waits for it: without a connection every call rejects at
 * once with CacheUnavailable, and reconnecting goes on for ever in the background. After a failover Redis may have
 * gone back in time: what must not go back carries a stamp. Whoever may write to Redis is not believed: every entry
 * carries a MAC over its key, stamp and value, and one without it is removed and counts as absent.
 */
export class RedisCache {
  readonly #redis: ScriptedRedis;
  readonly #mac: RedisMac;
  readonly #onForged: (key: string) => void;

  /** Never throws and never waits because Redis is away. */
  static connect(settings: RedisSettings, rng: Rng = systemRng): RedisCache {
    const redis = new ScriptedRedis(optionsFor(settings, rng));
    // Without a listener ioredis writes to the console.
    redis.on('error', (error) => settings.onError?.(error));
    return new RedisCache(redis, new RedisMac(settings.macKey), settings.onForged ?? (() => undefined));
  }

  private constructor(redis: ScriptedRedis, mac: RedisMac, onForged: (key: string) => void) {
    this.#redis = redis;
    this.#mac = mac;
    this.#onForged = onForged;
  }

  get available(): boolean {
    return this.#redis.status === 'ready';
  }

  async getJson(key: string): Promise<unknown> {
    const text = await this.#ask(() => this.#redis.get(key));
    const json = text === null ? undefined : this.#mac.open(key, text);
    if (text !== null && json === undefined) await this.#discard(key);
    return json === undefined ? undefined : JSON.parse(json);
  }

  async setJson(key: string, value: unknown, ttlMs: number): Promise<void> {
    await this.#ask(() => this.#redis.set(key, this.#mac.seal(key, JSON.stringify(value)), 'PX', ttlMs));
  }

  /** False when what is stored has the same stamp or a greater one; its time to live is then left alone. */
  async setIfNewer(key: string, stamp: Stamp, value: unknown, ttlMs: number): Promise<boolean> {
    const { incarnation, seq } = stamp;
    const sealed = sealStamped(this.#mac, key, { ...stamp, value });
    const set = await this.#ask(() => this.#redis.setIfNewer(key, incarnation, seq, sealed, ttlMs));
    return set === 1;
  }

  async getStamped(key: string): Promise<Stamped | undefined> {
    const text = await this.#ask(() => this.#redis.get(key));
    return this.#openStamped(key, text);
  }

  /** In the order of `keys`, in one round trip. */
  async getManyStamped(keys: readonly string[]): Promise<(Stamped | undefined)[]> {
    if (keys.length === 0) return [];
    const texts = await this.#ask(() => this.#redis.mget(...keys));
    return Promise.all(keys.map((key, i) => this.#openStamped(key, texts[i] ?? null)));
  }

  async delete(key: string): Promise<void> {
    await this.#ask(() => this.#redis.del(key));
  }

  async ping(): Promise<void> {
    await this.#ask(() => this.#redis.ping());
  }

  /** Closes the connection at once: there is nothing to wait for. */
  close(): void {
    this.#redis.disconnect();
  }

  async #openStamped(key: string, text: string | null): Promise<Stamped | undefined> {
    if (text === null) return undefined;
    const entry = openStamped(this.#mac, key, text);
    if (entry === undefined) await this.#discard(key);
    return entry;
  }

  async #discard(key: string): Promise<void> {
    this.#onForged(key);
    await this.delete(key);
  }

  async #ask<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command();
    } catch (error) {
      throw new CacheUnavailable(messageOf(error), { cause: error });
    }
  }
}

function optionsFor(settings: RedisSettings, rng: Rng): Options {
  const server: Options = settings.sentinels?.length
    ? {
        sentinels: settings.sentinels,
        name: settings.masterName ?? 'holdfast',
        // Else the client may stay with a master that was demoted.
        failoverDetector: true,
        sentinelReconnectStrategy: (attempt) => reconnectAfterMs(attempt, rng),
      }
    : { host: settings.host, port: settings.port };
  return {
    ...server,
    ...(settings.password === undefined ? {} : { password: settings.password }),
    connectionName: settings.connectionName,
    connectTimeout: 1_000,
    commandTimeout: settings.commandTimeoutMs ?? 50,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    // A write sent again later could put back what has changed since.
    autoResendUnfulfilledCommands: false,
    keepAlive: 2_000,
    retryStrategy: (attempt) => reconnectAfterMs(attempt, rng),
    // The server was demoted to a replica: reconnect (to the new master) and send the command again.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
    scripts: { setIfNewer: { lua: SET_IF_NEWER, numberOfKeys: 1 } },
  };
}

/** Half of the ceiling is certain, so that a dead server is not hammered; the rest keeps clients out of step. */
function reconnectAfterMs(attempt: number, rng: Rng): number {
  return backoffCeilingMs(RECONNECT, attempt - 1) * (0.5 + rng.next() / 2);
}
