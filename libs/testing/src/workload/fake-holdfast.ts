import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LoggedOperation } from '../history/record.js';
import { Timeline } from '../history/timeline.js';

interface FakeChange {
  version: number;
  term: number;
  comment: string | null;
  operations: LoggedOperation[];
}

interface Watcher {
  namespace: string;
  prefix: string;
  response: ServerResponse;
}

/** One way of being wrong, each time with this probability. */
export type Flaw = 'loses' | 'doubles' | 'refuses-after' | 'reads-stale' | 'watch-skips' | 'watch-repeats';

/**
 * As much of the public interface as a workload uses, in one process and in memory, with faults on demand: it shows
 * that a workload and the checker together find what is planted, before they are trusted with the real system.
 */
export class FakeHoldfast {
  private readonly server: Server;
  private readonly log: FakeChange[] = [];
  private readonly keys = new Map<string, FakeChange>();
  private readonly watchers = new Set<Watcher>();
  private readonly random: () => number;
  flaw: Flaw | undefined;

  constructor(random: () => number) {
    this.random = random;
    this.server = createServer((request, response) => {
      this.serve(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  private get head(): number {
    return this.log.length;
  }

  private wrong(flaw: Flaw): boolean {
    return this.flaw === flaw && this.head > 50 && this.random() < 0.05;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<ServerResponse> {
    const url = new URL(request.url ?? '', 'http://fake');
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const [, , kind, namespace = '', door, ...rest] = url.pathname.split('/');
    const key = decodeURIComponent(rest.join('/'));
    if (kind === 'cluster') return json(response, 200, { version: this.head });
    if (kind === 'changes' && request.method === 'GET') return this.changes(response, url);
    if (kind === 'changes') {
      const { comment, operations } = JSON.parse(body) as FakeChange;
      return this.commit(response, comment, operations, 200);
    }
    if (door === 'watch') return this.watch(request, response, namespace, url);
    if (key === '') return this.list(response, namespace, url.searchParams.get('prefix') ?? '');
    if (request.method === 'GET') return this.read(response, url, namespace, key);
    return this.write(request, response, namespace, key, body);
  }

  private write(
    request: IncomingMessage,
    response: ServerResponse,
    namespace: string,
    key: string,
    value: string,
  ): ServerResponse {
    const present = this.present(namespace, key);
    const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = request.headers;
    if (ifNoneMatch === '*' ? present : ifMatch && ifMatch !== `"${present?.version}"`) {
      return json(response, 412, { code: 'precondition-failed', currentVersion: present?.version ?? 0 });
    }
    const comment = decodeURIComponent(String(request.headers['holdfast-comment']));
    if (request.method === 'PUT') {
      return this.commit(response, comment, [{ op: 'put', namespace, key, value }], present ? 200 : 201);
    }
    if (!present) return json(response, 404, { code: 'key-not-found' });
    return this.commit(response, comment, [{ op: 'delete', namespace, key }], 200);
  }

  private commit(
    response: ServerResponse,
    comment: string | null,
    operations: LoggedOperation[],
    status: number,
  ): ServerResponse {
    if (this.wrong('loses')) return json(response, status, { version: this.head + 1 });
    const change = { version: this.head + 1, term: 1, comment, operations };
    this.append(change);
    if (this.wrong('doubles')) this.append({ ...change, version: this.head + 1 });
    if (this.wrong('refuses-after')) return json(response, 503, { code: 'storage-unavailable' });
    return json(response, status, { version: change.version });
  }

  private append(change: FakeChange): void {
    this.log.push(change);
    for (const { namespace, key } of change.operations) this.keys.set(`${namespace}/${key}`, change);
    for (const watcher of this.watchers) {
      if (this.wrong('watch-skips')) continue;
      this.tell(watcher, change);
      if (this.wrong('watch-repeats')) this.tell(watcher, change);
    }
  }

  private present(namespace: string, key: string): { version: number; value: string } | undefined {
    const change = this.keys.get(`${namespace}/${key}`);
    const operation = change?.operations.find((it) => it.namespace === namespace && it.key === key);
    return change && operation?.op === 'put'
      ? { version: change.version, value: operation.value }
      : undefined;
  }

  private read(response: ServerResponse, url: URL, namespace: string, key: string): ServerResponse {
    const stale = url.searchParams.has('consistency') && this.wrong('reads-stale');
    const version = stale ? this.head - 20 : this.head;
    const found = stale
      ? new Timeline(this.log, 0).valueAt(namespace, key, version)
      : this.present(namespace, key);
    response.setHeader('holdfast-version', version);
    if (!found) return json(response, 404, { code: 'key-not-found' });
    response.setHeader('etag', `"${found.version}"`);
    response.setHeader('content-length', Buffer.byteLength(found.value));
    return response.end(found.value);
  }

  private list(response: ServerResponse, namespace: string, prefix: string): ServerResponse {
    const items = new Timeline(this.log, 0).listAt(namespace, prefix, this.head);
    return json(response, 200, { version: this.head, items });
  }

  private changes(response: ServerResponse, url: URL): ServerResponse {
    const after = Number(url.searchParams.get('after'));
    const limit = Number(url.searchParams.get('limit'));
    return json(response, 200, { changes: this.log.slice(after, after + limit), head: this.head });
  }

  private watch(
    request: IncomingMessage,
    response: ServerResponse,
    namespace: string,
    url: URL,
  ): ServerResponse {
    const asked = url.searchParams.get('from') ?? request.headers['last-event-id'];
    const from = asked === undefined || asked === null ? this.head : Number(asked);
    const watcher = { namespace, prefix: url.searchParams.get('prefix') ?? '', response };
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    bookmark(response, from);
    for (const change of this.log.slice(from)) this.tell(watcher, change);
    this.watchers.add(watcher);
    const timer = setInterval(() => bookmark(response, this.head), 200);
    response.on('close', () => {
      clearInterval(timer);
      this.watchers.delete(watcher);
    });
    return response;
  }

  private tell({ namespace, prefix, response }: Watcher, change: FakeChange): void {
    const operations = change.operations.filter(
      (operation) => operation.namespace === namespace && operation.key.startsWith(prefix),
    );
    if (operations.length > 0) send(response, 'change', change.version, { ...change, operations });
  }
}

function bookmark(response: ServerResponse, version: number): void {
  send(response, 'bookmark', version, { version });
}

function send(response: ServerResponse, event: string, id: number, data: unknown): void {
  response.write(`event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`);
}

function json(response: ServerResponse, status: number, body: unknown): ServerResponse {
  const text = JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  return response.writeHead(status, headers).end(text);
}
