import { Injectable } from '@nestjs/common';
import { Agent, request } from 'undici';
import type { ZodType } from 'zod';
import { HEADERS, NodePing, Problem, SyncReply, type WireChange } from '#libs/contracts';

/** What the sync service asks of nodes over HTTP. */
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
    const timer = setTimeout(() => abort.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    try {
      const response = await request(url, {
        method: body === undefined ? 'GET' : 'POST',
        ...(body === undefined ? {} : { body }),
        dispatcher: this.agent,
        signal: abort.signal,
        headers: { [HEADERS.clusterKey]: this.clusterKey, 'content-type': 'application/json' },
      });
      const answer: unknown = await response.body.json();
      if (response.statusCode === 200) return schema.parse(answer);
      throw Problem.fromBody(answer) ?? new Error(`status ${response.statusCode}`);
    } finally {
      clearTimeout(timer);
    }
  }
}
