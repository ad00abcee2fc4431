import type { SendHandle } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';
import { messageOf } from '#libs/kernel';
import type { ClusterState } from './cluster-state.js';
import { type Missing, waitsFor } from './domain/cluster-readiness.js';
import { environmentFile } from './domain/environment-file.js';
import { planProcesses, type ServiceProcess, SUPERVISOR, stopOrder } from './domain/process-plan.js';
import type { HomeFolder } from './files/home-folder.js';
import type { RunFolder } from './files/run-folder.js';
import { type ServerAccess, startServers } from './servers.js';
import type { Children } from './supervision/children.js';
import { fetchJson } from './supervision/gateway-probe.js';
import { serviceLauncher } from './supervision/launch-service.js';
import type { ProcessEnd } from './supervision/supervised.js';
import {
  type ProcessView,
  type RestartHow,
  type SupervisedProcesses,
  SupervisorEndpoint,
} from './supervision/supervisor-endpoint.js';
import type { Terminal } from './terminal.js';

const HEALTH_POLL_MS = 50;
const STILL_WAITING_EVERY_MS = 15_000;
/** A node that is not in sync by then, e.g. with a damaged disk, does not keep the others from being used. */
const NODES_WITHIN_MS = 30_000;
/** Of a planned restart: gateways drain for up to 10 s. */
const REPLACE_GRACE_MS = 14_000;

export interface ClusterOptions {
  home: HomeFolder;
  state: ClusterState;
  runFolder: RunFolder;
  children: Children;
  terminal: Terminal;
  /** Where the gateways accept connections, bound already. */
  door: SendHandle;
  bind: string;
  gatewayPort: number;
  subjectPrefix: string;
  workingDirectory: string;
  programOf: (app: string) => string;
  environment: Readonly<Record<string, string>>;
  passedOn: Readonly<Record<string, string>>;
}

/** All processes of one cluster on this machine, started and stopped together. */
export class LocalCluster implements SupervisedProcesses {
  private supervisorDoor: SupervisorEndpoint | undefined;
  private services: ServiceProcess[] = [];
  private stopping = false;

  constructor(private readonly options: ClusterOptions) {}

  get address(): string {
    const { bind, gatewayPort } = this.options;
    const host = ['0.0.0.0', '::', 'localhost'].includes(bind) ? '127.0.0.1' : bind;
    return `http://${host.includes(':') ? `[${host}]` : host}:${gatewayPort}`;
  }

  /** Resolves to true when every process is ready and the gateways say so; to false when stopped meanwhile. */
  async start(): Promise<boolean> {
    const { children, home, state, subjectPrefix } = this.options;
    const access = await startServers(children, home, state, subjectPrefix);
    if (!access || this.stopping) return false;
    this.services = this.plan(access);
    for (const service of this.services) this.writeEnvironment(service);
    this.supervisorDoor = await SupervisorEndpoint.open(state.ports[SUPERVISOR] ?? 0, state.clusterKey, this);
    // All at once: a service that is up before what it needs tries again until that is there.
    const allReady = Promise.all(this.services.map((service) => this.launch(service)));
    await this.untilServing(allReady);
    return !this.stopping;
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.supervisorDoor?.close();
    await this.options.children.stop(stopOrder(this.services));
  }

  /** From now on nobody is started again, however it ends. */
  abandon(): void {
    this.stopping = true;
    this.options.children.abandon();
  }

  /** Its own processes; the servers are nobody's to restart from outside. */
  processes(): ProcessView[] {
    const { children, runFolder } = this.options;
    return this.services.map(({ name, kind }) => ({
      ...{ name, kind, pid: runFolder.pidOf(name) ?? null },
      ...(children.get(name)?.state ?? { ready: false, restarts: 0 }),
    }));
  }

  async restart(name: string, how: RestartHow): Promise<ProcessEnd | 'unknown'> {
    const child = this.services.some((it) => it.name === name) && this.options.children.get(name);
    if (!child) return 'unknown';
    return how === 'by-force' ? child.kill() : child.replace(REPLACE_GRACE_MS);
  }

  reportFailure(name: string, error: unknown): void {
    const why = messageOf(error);
    this.options.terminal.warn(`  ${name.padEnd(11)} could not be restarted: ${why}`);
  }

  private plan(access: ServerAccess): ServiceProcess[] {
    const { home, bind, gatewayPort, state, passedOn } = this.options;
    return planProcesses({ home: home.root, bind, gatewayPort, passedOn, ...state, ...access });
  }

  private launch(service: ServiceProcess): Promise<void> {
    const { children, door, programOf, workingDirectory, environment } = this.options;
    const launch = serviceLauncher(service, {
      ...{ door, programOf, workingDirectory, environment },
      onOutput: (name, chunk) => children.logOf(name).write(chunk),
      onStuck: (name) => children.stuck(name),
    });
    return children.supervise(service.name, launch, { firstStartMustSucceed: false });
  }

  private writeEnvironment(service: ServiceProcess): void {
    const { runFolder, home, programOf } = this.options;
    const command = `${process.execPath} --env-file=${home.runFolder}/${service.name}.env ${programOf(service.app)}`;
    runFolder.writeEnvironment(service.name, environmentFile(service.name, command, service.env));
  }

  private async untilServing(allReady: Promise<unknown>): Promise<void> {
    const { terminal, children } = this.options;
    let everyoneReady = false;
    const noticed = allReady.then(() => {
      everyoneReady = true;
    });
    let toldMs = performance.now();
    let neededAtMs = performance.now();
    while (!this.stopping) {
      const missing = await this.missing();
      const nowMs = performance.now();
      if (!everyoneReady || missing?.needed) neededAtMs = nowMs;
      const givesUp = nowMs - neededAtMs > NODES_WITHIN_MS;
      if (everyoneReady && missing && givesUp) terminal.warn(`  ready all the same: ${missing.what}`);
      if (everyoneReady && (missing === undefined || givesUp)) return noticed;
      if (performance.now() - toldMs > STILL_WAITING_EVERY_MS) {
        toldMs = performance.now();
        const starting = children.starting().join(', ') || 'no process';
        terminal.warn(`  still starting: ${starting}; ${missing?.what ?? 'the cluster is ready'}`);
      }
      await wait(HEALTH_POLL_MS);
    }
  }

  /** What the cluster waits for before it is ready, by the word of its gateways. */
  private async missing(): Promise<Missing | undefined> {
    const [health, cluster] = await Promise.all([
      fetchJson(`${this.address}/health`),
      fetchJson(`${this.address}/v1/cluster`),
    ]);
    const nodes = this.services.filter(({ app }) => app === 'config-node').map(({ name }) => name);
    return waitsFor(health, cluster, nodes);
  }
}
