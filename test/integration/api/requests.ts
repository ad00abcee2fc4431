import { expect } from 'vitest';
import { type Answer, type SseEvent, SseParser } from '#libs/testing';
import type { ApiNode } from './api-lab.js';

export const bodyOf = (answer: Answer) => JSON.parse(answer.body.toString());

export const configPath = (key: string, namespace = 'app') => `/v1/namespaces/${namespace}/configs/${key}`;

type Headers = Record<string, string | undefined>;

/** Plain requests to one node. */
export function requestsTo(node: () => ApiNode) {
  const request = (method: string, target: string, body?: string | Buffer | null, headers: Headers = {}) =>
    node().client.request(method, target, { ...(body == null ? {} : { body }), headers });
  return {
    request,
    put: (key: string, body: string | Buffer = 'x', headers: Headers = {}) =>
      request('PUT', configPath(key), body, { 'content-type': 'text/plain', ...headers }),
    post: (target: string, body: unknown, headers: Headers = {}) => node().client.post(target, body, headers),
    json: async (target: string) => bodyOf(await request('GET', target)),
  };
}

/** Status and code of an answer; a problem must be complete. */
export function verdict(answer: Answer): [number, string | undefined] {
  if (answer.status < 400) return [answer.status, undefined];
  const body = bodyOf(answer);
  expect(answer.headers['content-type']).toBe('application/problem+json');
  expect(body).toMatchObject({
    type: `urn:holdfast:error:${body.code}`,
    title: expect.any(String),
    status: answer.status,
    code: expect.any(String),
    detail: expect.any(String),
    instance: expect.any(String),
  });
  return [answer.status, body.code];
}

/** A watch that is being read. */
type WatchEvent = SseEvent & { json: Record<string, unknown> };

export class OpenWatch {
  /** All but the bookmarks after the first, which may come between any two. */
  readonly events: WatchEvent[] = [];
  readonly bookmarks: WatchEvent[] = [];
  readonly parser = new SseParser();
  private readonly abort = new AbortController();
  /** Resolves when the server has closed the stream, or `close` was called. */
  readonly ended: Promise<void>;

  private constructor(readonly response: Response) {
    this.ended = this.read();
  }

  static async open(
    address: string,
    target: string,
    headers: Record<string, string> = {},
  ): Promise<OpenWatch> {
    const abort = new AbortController();
    const response = await fetch(`${address}${target}`, { headers, signal: abort.signal });
    const watch = new OpenWatch(response);
    watch.abort.signal.addEventListener('abort', () => abort.abort());
    return watch;
  }

  /** `name version` of each event. */
  get names(): string[] {
    return this.events.map(({ event, json }) => `${event} ${json.version}`);
  }

  async until(count: number, withinMs = 5_000): Promise<string[]> {
    const deadline = performance.now() + withinMs;
    while (this.events.length < count) {
      if (performance.now() > deadline) throw new Error(`only ${this.names.join(', ')}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return this.names;
  }

  async close(): Promise<void> {
    this.abort.abort();
    await this.ended;
  }

  private async read(): Promise<void> {
    try {
      for await (const bytes of this.response.body ?? []) {
        for (const event of this.parser.push(bytes)) this.take({ ...event, json: JSON.parse(event.data) });
      }
    } catch (error) {
      if (!this.abort.signal.aborted) throw error;
    }
  }

  private take(event: WatchEvent): void {
    if (event.event === 'bookmark' && this.bookmarks.push(event) > 1) return;
    this.events.push(event);
  }
}
