import { Agent } from 'undici';
import { RequestSigner } from '#libs/cluster-auth';
import { isSuccess, JsonApi, orUnreachable, refusedBy } from './json-api.js';
import type { RestartDriver, RestartResult, RestartTarget } from './restart-driver.js';

const TIMEOUT_MS = 5_000;

/**
 * Asks the supervisor of a local cluster to end a process by force and start it again. Nothing else is asked of it:
 * that a node died is found out by the witnesses, as it is for a node that no supervisor runs.
 */
export class LocalDriver implements RestartDriver {
  readonly name = 'local';
  private readonly api: JsonApi;

  constructor(supervisor: string, clusterKey: string) {
    const agent = new Agent({ connections: 2, connect: { timeout: TIMEOUT_MS } });
    this.api = new JsonApi(supervisor, agent, new RequestSigner(clusterKey));
  }

  restart({ nodeId }: RestartTarget, signal: AbortSignal): Promise<RestartResult> {
    return orUnreachable(async () => {
      const answer = await this.api.call(
        {
          method: 'POST',
          path: `/processes/${encodeURIComponent(nodeId)}/restart`,
          body: { how: 'by-force' },
          timeoutMs: TIMEOUT_MS,
        },
        signal,
      );
      if (answer.status === 404)
        return { outcome: 'unknown-node', detail: `the supervisor runs no ${nodeId}` };
      return isSuccess(answer) ? { outcome: 'done' } : refusedBy('the supervisor', answer);
    });
  }

  close(): Promise<void> {
    return this.api.close();
  }
}
