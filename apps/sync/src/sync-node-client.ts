import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { Agent, request } from 'undici';
import type { ZodType } from 'zod';
import { RequestSigner } from '#libs/cluster-auth';
import {
  CatchUpReply,
  type CatchUpRequest,
  CHANGE_FRAMES_TYPE,
  type Change,
  changeToWire,
  encodeChanges,
  errorKind,
  NodePing,
  Problem,
  SyncReply,
} from '#libs/contracts';
import { NoAnswerInTime, NodeRefusal, retryAfterMs } from './node-refusal.js';

interface Body {
  type: string;
  bytes: Buffer | string;
}

/** A node of the release before refuses frames of changes as a type that it does not know. */
const DOES_NOT_KNOW_FRAMES = new Set([errorKind('unsupported-content-type').status]);
/** When such a node is sent frames again: it may have been replaced by one of this release. */
const WITHOUT_FRAMES_FOR_MS = 60_000;

const json = (value: unknown): Body => ({ type: 'application/json', bytes: JSON.stringify(value) });

/** What the sync service asks of nodes over HTTP. Rejects with NodeRefusal, NoAnswerInTime, or why there was no answer. */
@Injectable()
export class SyncNodeClient {
  private readonly agent = new Agent({ connections: 4, pipelining: 1, connect: { timeout: 1_000 } });
  private readonly withoutFrames = new LRUCache<string, true>({ max: 1_000, ttl: WITHOUT_FRAMES_FOR_MS });

  private readonly signer: RequestSigner;

  constructor(clusterKey: string) {
    this.signer = new RequestSigner(clusterKey);
  }

  ping(address: string, timeoutMs: number): Promise<NodePing> {
    return this.call(`${address}/ping`, NodePing, timeoutMs, undefined);
  }

  async push(address: string, changes: readonly Change[], timeoutMs: number): Promise<SyncReply> {
    if (!this.withoutFrames.get(address)) {
      try {
        const frames = { type: CHANGE_FRAMES_TYPE, bytes: encodeChanges(changes) };
        return await this.call(`${address}/sync`, SyncReply, timeoutMs, frames);
      } catch (error) {
        if (!(error instanceof NodeRefusal) || !DOES_NOT_KNOW_FRAMES.has(error.status)) throw error;
        this.withoutFrames.set(address, true);
      }
    }
    const body = json({ changes: changes.map(changeToWire) });
    return this.call(`${address}/sync`, SyncReply, timeoutMs, body);
  }

  catchUp(address: string, asked: CatchUpRequest, timeoutMs: number): Promise<CatchUpReply> {
    return this.call(`${address}/internal/catch-up`, CatchUpReply, timeoutMs, json(asked));
  }

  close(): Promise<void> {
    return this.agent.destroy();
  }

  private signed(url: string, { type, bytes }: Body): Record<string, string> {
    return this.signer.signedHeaders(url, {
      method: 'POST',
      headers: { 'content-type': type },
      body: bytes,
    });
  }

  private async call<T>(
    url: string,
    schema: ZodType<T>,
    timeoutMs: number,
    body: Body | undefined,
  ): Promise<T> {
    const method = body === undefined ? 'GET' : 'POST';
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(new NoAnswerInTime(timeoutMs)), timeoutMs);
    try {
      const response = await request(url, {
        method,
        ...(body === undefined ? {} : { body: body.bytes }),
        dispatcher: this.agent,
        signal: abort.signal,
        headers: body === undefined ? {} : this.signed(url, body),
      });
      const answer = await response.body.text();
      if (response.statusCode === 200) return schema.parse(JSON.parse(answer));
      const waitMs = retryAfterMs(response.headers['retry-after']);
      throw new NodeRefusal(response.statusCode, waitMs, problemOf(answer));
    } finally {
      clearTimeout(timer);
    }
  }
}

function problemOf(body: string): Problem | undefined {
  try {
    return Problem.fromBody(JSON.parse(body));
  } catch {
    return undefined; // not JSON: the status says enough
  }
}
