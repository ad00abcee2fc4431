import { Injectable } from '@nestjs/common';
import { Agent, request } from 'undici';
import type { ZodType } from 'zod';
import { RequestSigner } from '#libs/cluster-auth';
import { Problem } from '#libs/contracts';

/** Asked of any address that is heard of, and believed for nothing but that the process answers. */
const LIVENESS = '/ping';
const JSON_BODY = { 'content-type': 'application/json' };

/** HTTP calls to nodes: bounded in time, with responses checked against their contract. */
@Injectable()
export class HttpCalls {
  private readonly agent = new Agent({
    connections: 8,
    pipelining: 1,
    keepAliveTimeout: 10_000,
    connect: { timeout: 1_000 },
  });

  private readonly signer: RequestSigner;

  constructor(clusterKey: string) {
    this.signer = new RequestSigner(clusterKey);
  }

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
        headers: url.endsWith(LIVENESS)
          ? JSON_BODY
          : this.signer.signedHeaders(url, { ...options, headers: JSON_BODY }),
      });
      const answer: unknown = await body.json();
      if (statusCode >= 200 && statusCode < 300) return schema.parse(answer);
      throw Problem.fromBody(answer) ?? new Error(`status ${statusCode}`);
    } finally {
      clearTimeout(timer);
    }
  }
}
