import {
  type Change,
  changeFromWire,
  type DigestReply,
  type NodePing,
  type WireChange,
} from '#libs/contracts';
import { SnapshotDecoder, type SnapshotHeader, type StateBuilder } from '#libs/replica';
import { askDoor } from './http.js';

/** How a node asks other nodes, over the simulated network. */
export class PeerClient {
  ping(address: string): Promise<NodePing> {
    return askDoor(`${address}/ping`, undefined, 500);
  }

  async log(address: string, after: number, limit: number): Promise<Change[]> {
    const wires = await askDoor<WireChange[]>(`${address}/internal/log`, { after, limit }, 3_000);
    return wires.map(changeFromWire);
  }

  digest(address: string, version: number, waitMs: number): Promise<DigestReply> {
    return askDoor(`${address}/internal/digest`, { version, waitMs }, 500 + waitMs);
  }

  async snapshot(address: string): Promise<{ header: SnapshotHeader; state: StateBuilder }> {
    const bytes = await askDoor<Buffer>(`${address}/internal/snapshot`, undefined, 60_000);
    const decoder = new SnapshotDecoder();
    decoder.push(bytes);
    return decoder.finish();
  }
}
