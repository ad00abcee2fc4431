import { Agent, request } from 'undici';
import { RequestSigner } from '#libs/cluster-auth';
import {
  CHANGE_FRAMES_TYPE,
  type Change,
  changeFromWire,
  DigestReply,
  decodeChanges,
  errorKind,
  NodePing,
  WireChange,
} from '#libs/contracts';
import { crashOnDefect } from '#libs/kernel';
import { SnapshotDecoder, type SnapshotHeader, type StateBuilder } from '#libs/replica';
import { decompressed, SNAPSHOT_CODINGS } from './snapshot-coding.js';

const LOG_TIMEOUT_MS = 3_000;
const PING_TIMEOUT_MS = 500;
const DIGEST_TIMEOUT_MS = 500;
const SNAPSHOT_TIMEOUT_MS = 60_000;
/** Of a snapshot once it is decompressed. */
const MAX_SNAPSHOT_BYTES = 8 * 1024 ** 3;

/** Calls the internal routes of other nodes. Rejects with whatever went wrong. */
export class PeerClient {
  private readonly signer: RequestSigner;

  constructor(
    clusterKey: string,
    private readonly maxSnapshotBytes = MAX_SNAPSHOT_BYTES,
  ) {
    this.signer = new RequestSigner(clusterKey);
  }

  async ping(address: string): Promise<NodePing> {
    const response = await fetch(`${address}/ping`, { signal: AbortSignal.timeout(PING_TIMEOUT_MS) });
    return NodePing.parse(await answered(response).json());
  }

  /** Tells the process that has this node's id that this one ends for it. Best effort: releases before do not listen. */
  async claim(address: string, own: { address: string; incarnation: number }): Promise<void> {
    const url = `${address}/internal/same-id`;
    const body = JSON.stringify(own);
    const headers = { 'content-type': 'application/json' };
    const signed = this.signer.signedHeaders(url, { method: 'POST', headers, body });
    const signal = AbortSignal.timeout(PING_TIMEOUT_MS);
    try {
      await fetch(url, { method: 'POST', headers: signed, body, signal });
    } catch (error) {
      crashOnDefect(error);
    }
  }

  async log(address: string, after: number, limit: number): Promise<Change[] | 'compacted'> {
    const url = `${address}/internal/log?after=${after}&limit=${limit}`;
    const response = await this.ask(url, LOG_TIMEOUT_MS, `${CHANGE_FRAMES_TYPE}, application/json;q=0.5`);
    if (response.status === errorKind('version-compacted').status) return 'compacted';
    if (answered(response).headers.get('content-type') === CHANGE_FRAMES_TYPE) {
      return decodeChanges(Buffer.from(await response.arrayBuffer()));
    }
    return WireChange.array()
      .parse(await response.json())
      .map(changeFromWire);
  }

  /** Of the other node's state at a version, which it may take so long to reach. */
  async digest(address: string, version: number, waitMs: number): Promise<DigestReply> {
    const url = `${address}/internal/digest?version=${version}&waitMs=${waitMs}`;
    const response = await this.get(url, DIGEST_TIMEOUT_MS + waitMs);
    return DigestReply.parse(await response.json());
  }

  /** Whole and intact, or SnapshotDamaged. Compressed on its way where the other node knows how to. */
  async snapshot(address: string): Promise<{ header: SnapshotHeader; state: StateBuilder }> {
    const url = `${address}/internal/snapshot`;
    // A connection of its own: it is long, and seldom.
    const agent = new Agent({ connections: 1, connect: { timeout: PING_TIMEOUT_MS } });
    try {
      const { statusCode, headers, body } = await request(url, {
        dispatcher: agent,
        headers: this.signer.signedHeaders(url, {
          method: 'GET',
          headers: { 'accept-encoding': SNAPSHOT_CODINGS.join(', ') },
        }),
        signal: AbortSignal.timeout(SNAPSHOT_TIMEOUT_MS),
      });
      if (statusCode !== 200) throw new Error(`${url} answered ${statusCode}`);
      const coding = headers['content-encoding'];
      const decoder = new SnapshotDecoder();
      for await (const chunk of decompressed(body, coding?.toString(), this.maxSnapshotBytes))
        decoder.push(chunk);
      return decoder.finish();
    } finally {
      await agent.destroy();
    }
  }

  private async get(url: string, timeoutMs: number): Promise<Response> {
    return answered(await this.ask(url, timeoutMs));
  }

  private ask(url: string, timeoutMs: number, accept = 'application/json'): Promise<Response> {
    const headers = this.signer.signedHeaders(url, { method: 'GET', headers: { accept } });
    return fetch(url, { headers, signal: AbortSignal.timeout(timeoutMs) });
  }
}

function answered(response: Response): Response {
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
  return response;
}
