import type { z } from 'zod';
import type { Change, ConfigChanged } from '#libs/contracts';

export interface ConfigFact {
  namespace: string;
  /** Kind, version and namespace: the same fact, published again, has the same id. */
  id: string;
  payload: z.infer<typeof ConfigChanged>;
}

/** Of a fact's keys as JSON. With author and comment it stays far below the 1 MiB that the bus takes. */
const MAX_KEYS_BYTES = 256 * 1024;

/**
 * What a change tells the world: one fact for each namespace that it touches. Values are not told, and of the keys only
 * as many as fit into a message.
 */
export function factsOf(change: Change): ConfigFact[] {
  const { version, term, author, comment, createdAt } = change;
  const keysOf = new Map<string, ConfigFact['payload']['keys']>();
  for (const { op, namespace, key } of change.operations) {
    const keys = keysOf.get(namespace) ?? [];
    keys.push({ key, op });
    keysOf.set(namespace, keys);
  }
  return [...keysOf].map(([namespace, keys]) => ({
    namespace,
    id: `config.changed:${version}:${namespace}`,
    payload: { namespace, version, term, author, comment, createdAt, ...keysThatFit(keys) },
  }));
}

type ToldKeys = Pick<ConfigFact['payload'], 'keys' | 'keyCount' | 'truncated'>;

function keysThatFit(keys: ConfigFact['payload']['keys']): ToldKeys {
  let bytes = 0;
  const tooMany = keys.findIndex((key) => {
    bytes += Buffer.byteLength(JSON.stringify(key)) + 1;
    return bytes > MAX_KEYS_BYTES;
  });
  const keyCount = keys.length;
  return tooMany === -1 ? { keys, keyCount } : { keys: keys.slice(0, tooMany), keyCount, truncated: true };
}
