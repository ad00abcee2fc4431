export { CacheUnavailable, RedisCache, type RedisSettings } from './redis-cache.js';
export type { Stamp, Stamped } from './stamped.js';
