import type { Change } from '#libs/contracts';
import { theMachine } from '../cluster/machine.js';

/** What a node sets aside before it follows another history: the oracle wants to see it. */
export async function keepDiscarded(dataDir: string, changes: readonly Change[]): Promise<string> {
  theMachine()
    .disk(dataDir)
    .discarded.push(...changes.map((change) => change.version));
  return `${dataDir}/discarded`;
}
