import {
  type Change,
  changeFromWire,
  DigestReply,
  errorKind,
  HEADERS,
  NodePing,
  WireChange,
} from '#libs/contracts';
import { SnapshotDecoder, type SnapshotHeader, type StateBuilder } from '#libs/replica';

const LOG_TIMEOUT_MS = 3_000;
const PING_TIMEOUT_MS = 500;
const DIGEST_TIMEOUT_MS = 500;
const SNAPSHOT_TIMEOUT_MS = 60_000;

/** Asks other nodes through their internal doors. Rejects with whatever went wrong. */
export class PeerClient {
  constructor(private readonly clusterKey: string) {}

  async ping(address: string): Promise<NodePing> {
    const response = await this.get(`${address}/ping`, PING_TIMEOUT_MS);
    return NodePing.parse(await response.json());
  }

  async log(address: string, after: number, limit: number): Promise<Change[] | 'compacted'> {
    const url = `${address}/internal/log?after=${after}&limit=${limit}`;
    const response = await this.ask(url, LOG_TIMEOUT_MS);
    if (response.status === errorKind('version-compacted').status) return 'compacted';
    return WireChange.array()
      .parse(await answered(response).json())
      .map(changeFromWire);
  }

  /** Of the other node's state at a version, which it may take so long to reach. */
  async digest(address: string, version: number, waitMs: number): Promise<DigestReply> {
    const url = `${address}/internal/digest?version=${version}&waitMs=${waitMs}`;
    const response = await this.get(url, DIGEST_TIMEOUT_MS + waitMs);
    return DigestReply.parse(await response.json());
  }

  async snapshot(address: string): Promise<{ header: SnapshotHeader; state: StateBuilder }> {
    const response = await this.get(`${address}/internal/snapshot`, SNAPSHOT_TIMEOUT_MS);
    if (response.body === null) throw new Error(`${address} sent no snapshot`);
    const decoder = new SnapshotDecoder();
    for await (const chunk of response.body) decoder.push(Buffer.from(chunk));
    return decoder.finish();
  }

  private async get(url: string, timeoutMs: number): Promise<Response> {
    return answered(await this.ask(url, timeoutMs));
  }

  private ask(url: string, timeoutMs: number): Promise<Response> {
    const headers = { [HEADERS.clusterKey]: this.clusterKey };
    return fetch(url, { headers, signal: AbortSignal.timeout(timeoutMs) });
  }
}

function answered(response: Response): Response {
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
  return response;
}
