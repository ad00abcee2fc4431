import type { z } from 'zod';
import type { Change, ConfigChanged } from '#libs/contracts';

export interface ConfigFact {
  namespace: string;
  /** Kind, version and namespace: the same fact, published again, has the same id. */
  id: string;
  payload: z.infer<typeof ConfigChanged>;
}

/** What a change tells the world: one fact for each namespace that it touches. Values are not told. */
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
    payload: { namespace, version, term, author, comment, createdAt, keys },
  }));
}
