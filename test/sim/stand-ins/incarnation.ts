import { theMachine } from '../cluster/machine.js';

/** `max(number on disk + 1, wall clock)`, on the simulated disk. */
export async function nextIncarnation(
  dataDir: string,
  wallMs: number,
  _unkept: (error: Error) => void,
  atLeast = 0,
): Promise<number> {
  const disk = theMachine().disk(dataDir);
  const kept = Number(disk.read('incarnation')?.toString() ?? 0);
  const next = Math.max(kept + 1, wallMs, atLeast);
  disk.write('incarnation', Buffer.from(String(next)));
  return next;
}
