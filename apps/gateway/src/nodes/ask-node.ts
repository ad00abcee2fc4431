import { HEADERS, Problem } from '#libs/contracts';
import type { Candidate } from '../domain/node-table.js';
import { type BalancingStrategy, chooseNode } from '../domain/rotation.js';
import type { NodeDirectory } from './node-directory.js';
import type { Upstreams } from './upstreams.js';

const ANSWER_WITHIN_MS = 5_000;
const MAX_NODES = 3;

/** Asks a node for something in JSON, and further nodes when one fails. */
export class AskNode {
  constructor(
    private readonly directory: NodeDirectory,
    private readonly upstreams: Upstreams,
    private readonly strategy: BalancingStrategy,
    private readonly clusterKey: string,
  ) {}

  /** Rejects with the Problem of the last node asked. One that lies in the request itself is not tried elsewhere. */
  async json(path: string): Promise<unknown> {
    const tried: string[] = [];
    let last: unknown;
    while (tried.length < MAX_NODES) {
      const node = chooseNode(this.directory.tiers(), tried, this.strategy, { target: path });
      if (node === undefined) break;
      tried.push(node.address);
      try {
        return await this.one(node, path);
      } catch (error) {
        if (error instanceof Problem && error.status < 500) throw error;
        last = error;
      }
    }
    if (last instanceof Problem) throw last;
    throw new Problem('no-available-node', 'no node answered', {}, { cause: last });
  }

  private async one(node: Candidate, path: string): Promise<unknown> {
    const { statusCode, body } = await this.upstreams.pool(node.address).request({
      method: 'GET',
      path,
      headers: { [HEADERS.clusterKey]: this.clusterKey },
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    const json = await body.json();
    if (statusCode === 200) return json;
    throw Problem.fromBody(json) ?? new Error(`${node.id} answered ${statusCode}`);
  }
}
