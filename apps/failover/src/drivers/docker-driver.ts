import { Agent } from 'undici';
import { z } from 'zod';
import { isSuccess, JsonApi, orUnreachable, refusedBy } from './json-api.js';
import type { RestartDriver, RestartResult, RestartTarget } from './restart-driver.js';

/** Of Engine 25 and later; a newer engine goes on serving it. */
const VERSION = '/v1.44';
const LIST_TIMEOUT_MS = 3_000;
const RESTART_TIMEOUT_MS = 10_000;
/** A node that is to be restarted does not answer: it is not waited for long. */
const GRACE_S = 2;
/** Our own label first; Compose labels each container with the name of its service; else the container's own name. */
const LABELS = ['io.holdfast.node', 'com.docker.compose.service'];

const Containers = z.array(z.object({ Id: z.string().min(1), Names: z.array(z.string()).default([]) }));

/** Restarts a node's container through the Docker Engine's API on its unix socket. */
export class DockerDriver implements RestartDriver {
  readonly name = 'docker';
  private readonly api: JsonApi;

  constructor(socketPath: string) {
    const agent = new Agent({ connections: 2, connect: { socketPath, timeout: LIST_TIMEOUT_MS } });
    this.api = new JsonApi('http://docker', agent);
  }

  restart({ nodeId }: RestartTarget, signal: AbortSignal): Promise<RestartResult> {
    return orUnreachable(async () => {
      const found = await this.find(nodeId, signal);
      if (typeof found !== 'string') return found;
      const path = `${VERSION}/containers/${encodeURIComponent(found)}/restart?t=${GRACE_S}`;
      const answer = await this.api.call({ method: 'POST', path, timeoutMs: RESTART_TIMEOUT_MS }, signal);
      return isSuccess(answer) ? { outcome: 'done' } : refusedBy('the Docker engine', answer);
    });
  }

  close(): Promise<void> {
    return this.api.close();
  }

  /** The container's id, or why there is none. Two with one label are nobody's to choose between. */
  private async find(nodeId: string, signal: AbortSignal): Promise<string | RestartResult> {
    const filters = [
      ...LABELS.map((label) => ({ label: [`${label}=${nodeId}`] })),
      // A pattern, and the engine writes a slash before each name.
      { name: [`^/?${nodeId}$`] },
    ];
    for (const filter of filters) {
      const query = `all=true&filters=${encodeURIComponent(JSON.stringify(filter))}`;
      const path = `${VERSION}/containers/json?${query}`;
      const answer = await this.api.call({ method: 'GET', path, timeoutMs: LIST_TIMEOUT_MS }, signal);
      if (!isSuccess(answer)) return refusedBy('the Docker engine', answer);
      const containers = Containers.parse(answer.body);
      const [container] = containers;
      if (container && containers.length === 1) return container.Id;
      if (container) {
        const names = containers.flatMap(({ Names }) => Names).join(', ');
        return { outcome: 'refused', detail: `${containers.length} containers are ${nodeId}: ${names}` };
      }
    }
    return { outcome: 'unknown-node', detail: `no container is labelled or named ${nodeId}` };
  }
}
