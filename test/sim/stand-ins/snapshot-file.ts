import {
  encodeSnapshot,
  type PinnedState,
  SnapshotDamaged,
  SnapshotDecoder,
  type SnapshotHeader,
  type StateBuilder,
} from '#libs/replica';
import { theMachine } from '../cluster/machine.js';
import type { Disk } from '../world/disk.js';

/** The node's snapshot on the simulated disk, in its real format. */
export class SnapshotFile {
  private readonly disk: Disk;

  constructor(dataDir: string) {
    this.disk = theMachine().disk(dataDir);
  }

  async load(): Promise<{ header: SnapshotHeader; state: StateBuilder } | undefined> {
    const bytes = this.disk.read('snapshot');
    if (bytes === undefined) return undefined;
    const decoder = new SnapshotDecoder();
    try {
      decoder.push(bytes);
      return decoder.finish();
    } catch (error) {
      if (!(error instanceof SnapshotDamaged)) throw error;
      this.disk.rename('snapshot', 'snapshot.damaged');
      return undefined;
    }
  }

  async save(state: PinnedState): Promise<number> {
    const bytes = Buffer.concat([...encodeSnapshot(state)]);
    this.disk.write('snapshot', bytes);
    return bytes.length;
  }

  async setAside(why: string): Promise<string | undefined> {
    const bytes = this.disk.read('snapshot');
    if (bytes !== undefined && !this.disk.has(`snapshot.${why}`)) this.disk.write(`snapshot.${why}`, bytes);
    return why;
  }

  async remove(): Promise<void> {
    this.disk.remove('snapshot');
  }
}
