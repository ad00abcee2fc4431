import { Injectable } from '@nestjs/common';
import { Agent, request } from 'undici';
import type { ZodType } from 'zod';
import { HEADERS, Problem } from '#libs/contracts';

/** Calls of nodes' HTTP doors: bounded in time, answers checked against their contract. */
@Injectable()
export class HttpCalls {
  private readonly agent = new Agent({
    connections: 8,
    pipelining: 1,
    keepAliveTimeout: 10_000,
    connect: { timeout: 1_000 },
  });

  constructor(private readonly clusterKey: string) {}

  get<T>(url: string, schema: ZodType<T>, timeoutMs: number): Promise<T> {
    return this.call(url, schema, timeoutMs, { method: 'GET' });
  }

  post<T>(url: string, body: unknown, schema: ZodType<T>, timeoutMs: number): Promise<T> {
    return this.call(url, schema, timeoutMs, { method: 'POST', body: JSON.stringify(body) });
  }

  close(): Promise<void> {
    return this.agent.destroy();
  }

  private async call<T>(
    url: string,
    schema: ZodType<T>,
    timeoutMs: number,
    options: { method: 'GET' | 'POST'; body?: string },
  ): Promise<T> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    try {
      const { statusCode, body } = await request(url, {
        ...options,
        dispatcher: this.agent,
        signal: abort.signal,
        headers: { [HEADERS.clusterKey]: this.clusterKey, 'content-type': 'application/json' },
      });
      const answer: unknown = await body.json();
      if (statusCode >= 200 && statusCode < 300) return schema.parse(answer);
      throw Problem.fromBody(answer) ?? new Error(`status ${statusCode}`);
    } finally {
      clearTimeout(timer);
    }
  }
}
