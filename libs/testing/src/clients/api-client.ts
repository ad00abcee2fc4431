import type { IncomingHttpHeaders } from 'node:http';
import { Pool } from 'undici';
import type { LoggedChange, LoggedOperation } from '../history/record.js';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface PutOptions {
  contentType?: string;
  ifMatch?: string;
  ifNoneMatch?: string;
  idempotencyKey?: string;
  comment?: string;
}

export interface GetOptions {
  minVersion?: number;
  linearizable?: boolean;
}

export interface RequestOptions {
  headers?: Record<string, string | undefined>;
  body?: Buffer | string;
  timeoutMs?: number;
}

/** The public API over plain requests, one attempt each: what a client sees is what a test gets. */
export class ApiClient {
  readonly origin: string;
  private readonly pool: Pool;

  constructor(origin: string, connections = 64) {
    this.origin = origin;
    this.pool = new Pool(origin, { connections, connect: { timeout: 2_000 } });
  }

  async request(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const timeoutMs = options.timeoutMs ?? 30_000;
    const answer = await this.pool.request({
      method: method as 'GET',
      path,
      headers: withoutUndefined(options.headers ?? {}),
      body: options.body ?? null,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
    const body = Buffer.from(await answer.body.arrayBuffer());
    return { status: answer.statusCode, headers: answer.headers, body };
  }

  put(namespace: string, key: string, value: Buffer | string, options: PutOptions = {}): Promise<Answer> {
    return this.request('PUT', configPath(namespace, key), {
      body: value,
      headers: {
        'content-type': options.contentType ?? 'text/plain',
        'if-match': options.ifMatch,
        'if-none-match': options.ifNoneMatch,
        ...writeHeaders(options),
      },
    });
  }

  delete(namespace: string, key: string, options: PutOptions = {}): Promise<Answer> {
    const headers = { 'if-match': options.ifMatch, ...writeHeaders(options) };
    return this.request('DELETE', configPath(namespace, key), { headers });
  }

  changeSet(body: unknown, options: { idempotencyKey?: string } = {}): Promise<Answer> {
    return this.post('/v1/changes', body, { 'idempotency-key': options.idempotencyKey });
  }

  post(path: string, body: unknown, headers: Record<string, string | undefined> = {}): Promise<Answer> {
    return this.request('POST', path, {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...headers },
    });
  }

  get(namespace: string, key: string, options: GetOptions = {}): Promise<Answer> {
    const query = options.linearizable ? '?consistency=linearizable' : '';
    const headers = { 'holdfast-min-version': options.minVersion?.toString() };
    return this.request('GET', configPath(namespace, key) + query, { headers });
  }

  list(namespace: string, prefix: string): Promise<Answer> {
    const query = new URLSearchParams({ prefix, limit: '1000', values: 'true' });
    return this.request('GET', `/v1/namespaces/${namespace}/configs?${query}`);
  }

  /** JSON of a GET that must succeed. */
  async json<T>(path: string): Promise<T> {
    const answer = await this.request('GET', path);
    if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${answer.body}`);
    return JSON.parse(answer.body.toString()) as T;
  }

  /** Every change after `after`, from a node that has `minVersion`, up to its end of the log at the time of asking. */
  async changes(after = 0, minVersion = 0): Promise<LoggedChange[]> {
    const all: LoggedChange[] = [];
    for (let from = after; ; ) {
      const page = await this.json<{ changes: WireLoggedChange[]; head: number }>(
        `/v1/changes?after=${from}&limit=1000&minVersion=${minVersion}`,
      );
      for (const change of page.changes) all.push(loggedChange(change));
      const last = page.changes.at(-1)?.version;
      if (last === undefined) return all;
      from = last;
    }
  }

  async close(): Promise<void> {
    await this.pool.destroy();
  }
}

export interface WireLoggedChange {
  version: number;
  term: number;
  comment: string | null;
  operations: { op: string; namespace: string; key: string; value?: string; encoding?: string }[];
}

export function loggedChange(wire: WireLoggedChange): LoggedChange {
  return {
    version: wire.version,
    term: wire.term,
    comment: wire.comment,
    operations: wire.operations.map(loggedOperation),
  };
}

/** Values that are not text are compared in their base64 form. */
export function loggedOperation(wire: WireLoggedChange['operations'][number]): LoggedOperation {
  const { namespace, key } = wire;
  return wire.op === 'delete'
    ? { op: 'delete', namespace, key }
    : { op: 'put', namespace, key, value: (wire.encoding ? `${wire.encoding}:` : '') + (wire.value ?? '') };
}

/** The stable code of an error answer, or the status when it has none. */
export function problemCode(answer: Answer): string {
  try {
    const body: unknown = JSON.parse(answer.body.toString());
    if (typeof body === 'object' && body !== null && 'code' in body) return String(body.code);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return `status-${answer.status}`;
}

export function configPath(namespace: string, key: string): string {
  return `/v1/namespaces/${namespace}/configs/${key.split('/').map(encodeURIComponent).join('/')}`;
}

function writeHeaders(options: PutOptions): Record<string, string | undefined> {
  return {
    'idempotency-key': options.idempotencyKey,
    'holdfast-comment': options.comment === undefined ? undefined : encodeURIComponent(options.comment),
  };
}

function withoutUndefined(headers: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string] => !!entry[1]));
}
