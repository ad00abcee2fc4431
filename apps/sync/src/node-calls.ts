import { Injectable } from '@nestjs/common';
import { Agent, request } from 'undici';
import type { ZodType } from 'zod';
import {
  CatchUpReply,
  type CatchUpRequest,
  HEADERS,
  NodePing,
  Problem,
  SyncReply,
  type WireChange,
} from '#libs/contracts';
import { NoAnswerInTime, NodeRefusal, retryAfterMs } from './node-refusal.js';

/** What the sync service asks of nodes over HTTP. Rejects with NodeRefusal, NoAnswerInTime, or why there was no answer. */
@Injectable()
export class NodeCalls {
  private readonly agent = new Agent({ connections: 4, pipelining: 1, connect: { timeout: 1_000 } });

  constructor(private readonly clusterKey: string) {}

  ping(address: string, timeoutMs: number): Promise<NodePing> {
    return this.call(`${address}/ping`, NodePing, timeoutMs, undefined);
  }

  push(address: string, changes: readonly WireChange[], timeoutMs: number): Promise<SyncReply> {
    return this.call(`${address}/sync`, SyncReply, timeoutMs, JSON.stringify({ changes }));
  }

  catchUp(address: string, asked: CatchUpRequest, timeoutMs: number): Promise<CatchUpReply> {
    return this.call(`${address}/internal/catch-up`, CatchUpReply, timeoutMs, JSON.stringify(asked));
  }

  close(): Promise<void> {
    return this.agent.destroy();
  }

  private async call<T>(
    url: string,
    schema: ZodType<T>,
    timeoutMs: number,
    body: string | undefined,
  ): Promise<T> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(new NoAnswerInTime(timeoutMs)), timeoutMs);
    try {
      const response = await request(url, {
        method: body === undefined ? 'GET' : 'POST',
        ...(body === undefined ? {} : { body }),
        dispatcher: this.agent,
        signal: abort.signal,
        headers: { [HEADERS.clusterKey]: this.clusterKey, 'content-type': 'application/json' },
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
