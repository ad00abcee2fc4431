import {
  type CatchUpReply,
  type CatchUpRequest,
  type Change,
  changeToWire,
  type NodePing,
  type SyncReply,
} from '#libs/contracts';
import { askDoor } from './http.js';

/** What the sync service asks of nodes, over the simulated network. */
export class SyncNodeClient {
  ping(address: string, timeoutMs: number): Promise<NodePing> {
    return askDoor(`${address}/ping`, undefined, timeoutMs);
  }

  push(address: string, changes: readonly Change[], timeoutMs: number): Promise<SyncReply> {
    return askDoor(`${address}/sync`, { changes: changes.map(changeToWire) }, timeoutMs);
  }

  catchUp(address: string, asked: CatchUpRequest, timeoutMs: number): Promise<CatchUpReply> {
    return askDoor(`${address}/internal/catch-up`, asked, timeoutMs);
  }

  async close(): Promise<void> {}
}
