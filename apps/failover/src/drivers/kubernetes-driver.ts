import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent } from 'undici';
import { z } from 'zod';
import { isSuccess, JsonApi, orUnreachable, refusedBy } from './json-api.js';
import type { RestartDriver, RestartResult, RestartTarget } from './restart-driver.js';

const TIMEOUT_MS = 5_000;
/** A node that is to be restarted does not answer: it is not waited for long. */
const GRACE_S = 5;
const LABEL = 'holdfast.io/node';

const Metadata = z.object({ name: z.string(), uid: z.string(), deletionTimestamp: z.string().nullish() });
const PodList = z.object({ items: z.array(z.object({ metadata: Metadata })) });

export interface KubernetesSettings {
  /** Such as https://kubernetes.default.svc */
  api: string;
  /** Undefined = the one in the folder. */
  namespace: string | undefined;
  /** Folder of the service account: token, ca.crt, namespace. */
  credentials: string;
}

/** Deletes a node's pod, so that its controller (a StatefulSet) starts another in its place. */
export class KubernetesDriver implements RestartDriver {
  readonly name = 'kubernetes';
  private connected: { api: JsonApi; ca: string } | undefined;

  constructor(private readonly settings: KubernetesSettings) {}

  restart({ nodeId }: RestartTarget, signal: AbortSignal): Promise<RestartResult> {
    return orUnreachable(async () => {
      const [api, authorization, pods] = await Promise.all([
        this.connect(),
        this.authorization(),
        this.pods(),
      ]);
      const headers = { authorization };
      const selector = encodeURIComponent(`${LABEL}=${nodeId}`);
      const path = `${pods}?labelSelector=${selector}`;
      const list = await api.call({ method: 'GET', path, headers, timeoutMs: TIMEOUT_MS }, signal);
      if (!isSuccess(list)) return refusedBy('the Kubernetes API', list);
      const found = PodList.parse(list.body).items.map(({ metadata }) => metadata);
      const [pod, ...others] = found.filter((it) => !it.deletionTimestamp);
      if (found.length > 0 && !pod) return { outcome: 'done' }; // its end is under way
      if (!pod) return { outcome: 'unknown-node', detail: `no pod is labelled ${LABEL}=${nodeId}` };
      if (others.length > 0) return { outcome: 'refused', detail: `${found.length} pods are ${nodeId}` };
      const body = {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        gracePeriodSeconds: GRACE_S,
        // Not the one that has taken its place meanwhile.
        preconditions: { uid: pod.uid },
      };
      const named = `${pods}/${encodeURIComponent(pod.name)}`;
      const answer = await api.call(
        { method: 'DELETE', path: named, body, headers, timeoutMs: TIMEOUT_MS },
        signal,
      );
      // Gone, or replaced, before we came: that is what was wanted.
      if (answer.status === 404 || answer.status === 409) return { outcome: 'done' };
      return isSuccess(answer) ? { outcome: 'done' } : refusedBy('the Kubernetes API', answer);
    });
  }

  async close(): Promise<void> {
    await this.connected?.api.close();
  }

  /** The authority may be renewed while we run. */
  private async connect(): Promise<JsonApi> {
    const ca = await this.read('ca.crt');
    if (this.connected?.ca === ca) return this.connected.api;
    await this.connected?.api.close();
    const agent = new Agent({ connections: 2, connect: { ca, timeout: TIMEOUT_MS } });
    this.connected = { ca, api: new JsonApi(this.settings.api, agent) };
    return this.connected.api;
  }

  /** Read each time: tokens are bound to a time, and renewed in the file. */
  private async authorization(): Promise<string> {
    return `Bearer ${(await this.read('token')).trim()}`;
  }

  private async pods(): Promise<string> {
    const namespace = this.settings.namespace ?? (await this.read('namespace')).trim();
    return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
  }

  private read(file: string): Promise<string> {
    return readFile(join(this.settings.credentials, file), 'utf8');
  }
}
