import type { RequestSigner } from '#libs/cluster-auth';
import {
  CHANGE_FRAMES_TYPE,
  type Change,
  changeFromWire,
  decodeChanges,
  FrameDamaged,
  HEADERS,
  Problem,
  WireChange,
} from '#libs/contracts';
import { type Clock, crashOnDefect } from '#libs/kernel';
import type { Candidate } from '../domain/nodes/candidate.js';
import type { LoadBalancer } from '../domain/nodes/load-balancer.js';
import { refusesProof } from '../domain/refused-proof.js';
import type { Upstreams } from './upstreams.js';

const ANSWER_WITHIN_MS = 5_000;
const MAX_NODES = 3;
const JSON_TYPE = 'application/json';

export interface JsonAnswer {
  json: unknown;
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

interface BytesAnswer {
  bytes: Buffer;
  headers: JsonAnswer['headers'];
}

interface NodeRequestOptions {
  headers: Record<string, string>;
  signal: AbortSignal | undefined;
}

/** Asks a node for something, and further nodes when one fails. */
export class AskNode {
  constructor(
    private readonly balancer: LoadBalancer,
    private readonly upstreams: Upstreams,
    private readonly signer: RequestSigner,
    private readonly clock: Clock,
  ) {}

  /** The body of the answer. Rejects with the Problem of the last node asked. */
  async json(path: string): Promise<unknown> {
    return (await this.answer(path)).json;
  }

  /** A page of a listing, which ends at about so many bytes. Rejects as `json` does. */
  listing(path: string, maxBytes: number): Promise<unknown> {
    const headers = { accept: JSON_TYPE, [HEADERS.pageBytes]: String(maxBytes) };
    return this.ask(path, { headers, signal: undefined }, ({ bytes }) => parsed(bytes));
  }

  /** A problem that lies in the request itself is not tried elsewhere. */
  answer(path: string, signal?: AbortSignal): Promise<JsonAnswer> {
    return this.ask(path, { headers: { accept: JSON_TYPE }, signal }, ({ bytes, headers }) => ({
      json: parsed(bytes),
      headers,
    }));
  }

  /** A page of changes; of `through` when the node said up to which version it is complete. Rejects with FrameDamaged when no node sent one that can be read. */
  changes(path: string): Promise<{ changes: Change[]; through: number | undefined }> {
    const accept = `${CHANGE_FRAMES_TYPE}, ${JSON_TYPE};q=0.5`;
    return this.ask(path, { headers: { accept }, signal: undefined }, ({ bytes, headers }) => {
      const through = Number(headers[HEADERS.through] ?? Number.NaN);
      return {
        changes: changesIn(bytes, headers['content-type']),
        through: Number.isSafeInteger(through) ? through : undefined,
      };
    });
  }

  private async ask<T>(
    path: string,
    asked: NodeRequestOptions,
    read: (answer: BytesAnswer) => T,
  ): Promise<T> {
    const tried: Candidate[] = [];
    let last: unknown;
    while (tried.length < MAX_NODES) {
      const node = this.balancer.choose(path, tried, this.clock.monotonicMs());
      if (node === undefined) break;
      tried.push(node);
      try {
        return read(await this.one(node, path, asked));
      } catch (error) {
        crashOnDefect(error);
        asked.signal?.throwIfAborted();
        if (error instanceof Problem && error.status < 500 && !refusesProof(error)) throw error;
        last = error;
        // The node may still work on it: a second one would be slowed down by the same request.
        if (error instanceof DOMException && error.name === 'TimeoutError') break;
      }
    }
    if (last instanceof Problem || last instanceof FrameDamaged) throw last;
    throw new Problem('no-available-node', 'no node answered', {}, { cause: last });
  }

  private async one(
    node: Candidate,
    path: string,
    { headers: asked, signal }: NodeRequestOptions,
  ): Promise<BytesAnswer> {
    const timeout = AbortSignal.timeout(ANSWER_WITHIN_MS);
    const list = Object.entries(asked).flat();
    const signature = this.signer.sign(node.address, path, { method: 'GET', headers: list });
    this.balancer.sent(node);
    try {
      const { statusCode, headers, body } = await this.upstreams.pool(node.address).request({
        method: 'GET',
        path,
        headers: { ...asked, [HEADERS.signature]: signature },
        signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
      });
      const bytes = Buffer.from(await body.arrayBuffer());
      if (statusCode === 200) return { bytes, headers };
      throw Problem.fromBody(parsed(bytes)) ?? new Error(`${node.id} answered ${statusCode}`);
    } finally {
      this.balancer.over(node);
    }
  }
}

function changesIn(bytes: Buffer, contentType: string | string[] | undefined): Change[] {
  if (contentType === CHANGE_FRAMES_TYPE) return decodeChanges(bytes);
  return WireChange.array().parse(parsed(bytes)).map(changeFromWire);
}

function parsed(bytes: Buffer): unknown {
  return JSON.parse(bytes.toString('utf8'));
}
