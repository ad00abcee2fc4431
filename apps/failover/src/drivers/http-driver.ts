import { Agent } from 'undici';
import { RequestSigner } from '#libs/cluster-auth';
import { isSuccess, JsonApi, orUnreachable, refusedBy } from './json-api.js';
import type { RestartDriver, RestartResult, RestartTarget } from './restart-driver.js';

const TIMEOUT_MS = 2_000;

/** Asks a node that still answers to restart itself: it announces its end, hands over, and exits with 0. */
export class HttpDriver implements RestartDriver {
  readonly name = 'http';
  private readonly agent = new Agent({ connections: 2, connect: { timeout: TIMEOUT_MS } });

  private readonly signer: RequestSigner;

  constructor(clusterKey: string) {
    this.signer = new RequestSigner(clusterKey);
  }

  restart({ nodeId, address }: RestartTarget, signal: AbortSignal): Promise<RestartResult> {
    return orUnreachable(async () => {
      if (address === undefined) return { outcome: 'unknown-node', detail: `no address of ${nodeId}` };
      const call = { method: 'POST', path: '/restart', body: {}, timeoutMs: TIMEOUT_MS } as const;
      const answer = await new JsonApi(address, this.agent, this.signer).call(call, signal);
      return isSuccess(answer) ? { outcome: 'done' } : refusedBy(nodeId, answer);
    });
  }

  close(): Promise<void> {
    return this.agent.destroy();
  }
}
