import { HEADERS, Problem } from '#libs/contracts';
import type { Clock } from '#libs/kernel';
import type { Candidate } from '../domain/candidate.js';
import type { Rotation } from '../domain/rotation.js';
import type { Upstreams } from './upstreams.js';

const ANSWER_WITHIN_MS = 5_000;
const MAX_NODES = 3;

export interface JsonAnswer {
  json: unknown;
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Asks a node for something in JSON, and further nodes when one fails. */
export class AskNode {
  constructor(
    private readonly rotation: Rotation,
    private readonly upstreams: Upstreams,
    private readonly clusterKey: string,
    private readonly clock: Clock,
  ) {}

  /** The body of the answer. Rejects with the Problem of the last node asked. */
  async json(path: string): Promise<unknown> {
    return (await this.answer(path)).json;
  }

  /** A problem that lies in the request itself is not tried elsewhere. */
  async answer(path: string, signal?: AbortSignal): Promise<JsonAnswer> {
    const tried: Candidate[] = [];
    let last: unknown;
    while (tried.length < MAX_NODES) {
      const node = this.rotation.choose(path, tried, this.clock.monotonicMs());
      if (node === undefined) break;
      tried.push(node);
      try {
        return await this.one(node, path, signal);
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof Problem && error.status < 500) throw error;
        last = error;
      }
    }
    if (last instanceof Problem) throw last;
    throw new Problem('no-available-node', 'no node answered', {}, { cause: last });
  }

  private async one(node: Candidate, path: string, signal: AbortSignal | undefined): Promise<JsonAnswer> {
    const timeout = AbortSignal.timeout(ANSWER_WITHIN_MS);
    this.rotation.sent(node);
    try {
      const { statusCode, headers, body } = await this.upstreams.pool(node.address).request({
        method: 'GET',
        path,
        headers: { [HEADERS.clusterKey]: this.clusterKey },
        signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
      });
      const json = await body.json();
      if (statusCode === 200) return { json, headers };
      throw Problem.fromBody(json) ?? new Error(`${node.id} answered ${statusCode}`);
    } finally {
      this.rotation.over(node);
    }
  }
}
