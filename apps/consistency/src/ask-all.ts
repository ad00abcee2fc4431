import type { RootAnswer } from './domain/comparison/root-comparison.js';

/** Node id -> address; undefined while no address is known. */
export type Addresses = ReadonlyMap<string, string | undefined>;

export const NO_ADDRESS: RootAnswer = { known: false, reason: 'no-address' };

/** Asks these nodes at the same time; a node without an address gives `without`. */
export async function askAll<T>(
  nodeIds: readonly string[],
  nodes: Addresses,
  without: T,
  ask: (address: string) => Promise<T>,
): Promise<Map<string, T>> {
  const asked = nodeIds.map(async (nodeId): Promise<[string, T]> => {
    const address = nodes.get(nodeId);
    return [nodeId, address === undefined ? without : await ask(address)];
  });
  return new Map(await Promise.all(asked));
}
