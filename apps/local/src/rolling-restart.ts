import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { RequestSigner } from '#libs/cluster-auth';
import { loadSettings, SettingsError } from '#libs/settings';
import { type ClusterState, readState } from './cluster-state.js';
import { SUPERVISOR } from './domain/process-plan.js';
import { nextToRestart, whyNotBack, whyNotNow } from './domain/rolling-order.js';
import { StartRefused } from './start-refused.js';
import { duration } from './terminal.js';

/**
 * `npm run rolling-restart`: every process of a running local cluster anew, one after the other, each healthy and level
 * before the next, so that no request fails. Asks the supervisor for each restart, and the gateway how the cluster is.
 */
const BACK_WITHIN_MS = 60_000;
const CALL_TIMEOUT_MS = 5_000;
const LOOK_EVERY_MS = 200;

const Processes = z.object({
  gateway: z.string(),
  processes: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(['node', 'gateway', 'service']),
      pid: z.number().nullable(),
      ready: z.boolean(),
      restarts: z.number(),
    }),
  ),
});
type Process = z.infer<typeof Processes>['processes'][number];

const Cluster = z.object({
  leaderId: z.string().nullable(),
  nodes: z.array(
    z.object({
      id: z.string(),
      role: z.string(),
      status: z.string(),
      reason: z.string().nullable(),
      incarnation: z.number(),
      lag: z.number(),
    }),
  ),
});
type Cluster = z.infer<typeof Cluster>;

/** The restart stops here, and says why. */
class GivenUp extends Error {}

class RollingRestart {
  private readonly supervisor: string;
  private readonly signer: RequestSigner;
  private gateway = '';

  constructor(
    state: ClusterState,
    private readonly say: (line: string) => void,
  ) {
    this.signer = new RequestSigner(state.clusterKey);
    this.supervisor = `http://127.0.0.1:${state.ports[SUPERVISOR]}`;
  }

  async execute(): Promise<void> {
    const begunMs = performance.now();
    let left = await this.processes();
    const before = await this.cluster();
    const unwell = whyNotNow(before.nodes, before.leaderId);
    if (unwell) throw new GivenUp(`the cluster is not well, nothing was restarted: ${unwell}`);
    const total = left.length;
    for (let done = 1; ; done++) {
      const cluster = await this.cluster();
      const next = nextToRestart(left, cluster.nodes);
      if (!next) break;
      if (next.name === cluster.leaderId) await this.handOver(next.name);
      await this.restart(next, `[${done}/${total}]`, cluster);
      left = left.filter(({ name }) => name !== next.name);
    }
    this.say(`all ${total} processes were restarted in ${duration(performance.now() - begunMs)}`);
  }

  private async restart({ name, kind }: Process, progress: string, { nodes }: Cluster): Promise<void> {
    const begunMs = performance.now();
    const incarnation = nodes.find(({ id }) => id === name)?.incarnation ?? 0;
    const before = await this.process(name);
    await this.post(`${this.supervisor}/processes/${name}/restart`, { how: 'planned' });
    await this.until(`${name} did not come back`, async () => {
      const now = await this.process(name);
      if (!now?.ready || now.restarts === before?.restarts) return 'its process is not ready';
      if (kind !== 'node') return undefined;
      const { nodes: seen } = await this.cluster();
      return whyNotBack(
        seen.find(({ id }) => id === name),
        incarnation,
      );
    });
    this.say(
      `${progress.padEnd(8)} ${name.padEnd(11)} back ${duration(performance.now() - begunMs).padStart(8)}`,
    );
  }

  private async handOver(from: string): Promise<void> {
    const begunMs = performance.now();
    await this.post(`${this.gateway}/v1/cluster/handover`, {});
    let leaderId: string | null = from;
    await this.until(`${from} did not hand over`, async () => {
      ({ leaderId } = await this.cluster());
      return leaderId === null || leaderId === from ? `${leaderId ?? 'nobody'} leads` : undefined;
    });
    const tookMs = performance.now() - begunMs;
    this.say(`         ${from.padEnd(11)} handed over to ${leaderId} in ${duration(tookMs)}`);
  }

  private async until(what: string, whyNot: () => Promise<string | undefined>): Promise<void> {
    const deadline = performance.now() + BACK_WITHIN_MS;
    for (;;) {
      const why = await whyNot().catch((error: unknown) => reasonOf(error));
      if (why === undefined) return;
      if (performance.now() > deadline) {
        throw new GivenUp(
          `${what} within ${duration(BACK_WITHIN_MS)}: ${why}. The others were left as they are.`,
        );
      }
      await wait(LOOK_EVERY_MS);
    }
  }

  private async processes(): Promise<Process[]> {
    const found = Processes.parse(await this.call(`${this.supervisor}/processes`));
    this.gateway = found.gateway;
    return found.processes;
  }

  private async process(name: string): Promise<Process | undefined> {
    return (await this.processes()).find((process) => process.name === name);
  }

  private async cluster(): Promise<Cluster> {
    return Cluster.parse(await this.call(`${this.gateway}/v1/cluster`));
  }

  private post(url: string, body: unknown): Promise<unknown> {
    return this.call(url, { method: 'POST', body: JSON.stringify(body) });
  }

  /** Each on a connection of its own: a gateway that drains closes those that are kept. */
  private async call(url: string, options: { method?: string; body?: string } = {}): Promise<unknown> {
    const headers: Record<string, string> = { 'content-type': 'application/json', connection: 'close' };
    const { method = 'GET', body } = options;
    const sent = url.startsWith(this.supervisor)
      ? this.signer.signedHeaders(url, { method, headers, body })
      : headers;
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
    const answer = await fetch(url, { ...options, headers: sent, signal });
    const text = await answer.text();
    if (!answer.ok) throw new GivenUp(`${url} answered ${answer.status}: ${text}`);
    return JSON.parse(text);
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

async function main(): Promise<void> {
  const { home } = loadSettings(['home']);
  const file = join(resolve(home), 'state.json');
  const state = readState(file);
  if (!state?.ports[SUPERVISOR]) {
    throw new GivenUp(
      `no cluster of this release was started in ${resolve(home)} (HOLDFAST_HOME): npm start`,
    );
  }
  await new RollingRestart(state, (line) => process.stdout.write(`${line}\n`)).execute();
}

main().catch((error: unknown) => {
  const known = [GivenUp, StartRefused, SettingsError].some((type) => error instanceof type);
  const text =
    known || !(error instanceof Error) ? reasonOf(error) : `is Holdfast running? ${reasonOf(error)}`;
  process.stderr.write(`rolling restart: ${text}\n`);
  process.exit(1);
});
