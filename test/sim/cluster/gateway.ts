import { EventEmitter } from 'node:events';
import { DEFAULT_LOAD_PERCENT } from '#libs/balancer';
import { Problem } from '#libs/contracts';
import { SLOW_START_MS, strategyOf } from '../../../apps/gateway/src/domain/nodes/balancing-settings.js';
import type { Candidate } from '../../../apps/gateway/src/domain/nodes/candidate.js';
import { LoadBalancer } from '../../../apps/gateway/src/domain/nodes/load-balancer.js';
import { OwnWrites } from '../../../apps/gateway/src/domain/reads/own-writes.js';
import { WriteParking } from '../../../apps/gateway/src/domain/writes/write-parking.js';
import { LoadBalancerTicker } from '../../../apps/gateway/src/nodes/load-balancer-ticker.js';
import { NodeBusListener } from '../../../apps/gateway/src/nodes/node-bus-listener.js';
import { NodeDirectory } from '../../../apps/gateway/src/nodes/node-directory.js';
import { NodeProber } from '../../../apps/gateway/src/nodes/node-prober.js';
import { Upstreams } from '../../../apps/gateway/src/nodes/upstreams.js';
import type { Client } from '../../../apps/gateway/src/proxy/client.js';
import { ProxyMetrics } from '../../../apps/gateway/src/proxy/proxy.metrics.js';
import { WriteProxy } from '../../../apps/gateway/src/proxy/write-proxy.js';
import { callDoor } from '../stand-ins/http.js';
import { type Answer, type Asked, CallFailed } from '../world/network.js';
import type { SimProcess } from '../world/process.js';
import { isProblem } from './doors.js';
import type { Platform } from './platform.js';
import { noMetrics, traceLogger } from './silent.js';
import { asBus, SimBus } from './sim-bus.js';

const READ_MS = 6_000;
const READ_TRIES = 3;
const STRATEGIES = ['round-robin', 'weighted-round-robin', 'least-connections', 'consistent-hash'] as const;

/** A gateway: its real view of the nodes, its real parking and sending of writes; reads by its rotation. */
export class SimGateway {
  readonly directory: NodeDirectory;
  private readonly writes: WriteProxy;
  private readonly balancer: LoadBalancer;
  private readonly nowMs: () => number;

  constructor(platform: Platform, process: SimProcess) {
    const { clock } = process;
    const logger = traceLogger(process);
    const bus = asBus(new SimBus(process, platform.broker));
    const upstreams = new Upstreams();
    const directory = new NodeDirectory(platform.nodeSeeds, clock);
    upstreams.onConnectionLost((address) => directory.doubt(address));
    this.directory = directory;
    this.nowMs = () => clock.monotonicMs();
    const strategy = STRATEGIES[process.rng.int(STRATEGIES.length)] ?? STRATEGIES[0];
    const balancing = {
      strategy,
      hedge: false,
      slowStartMs: SLOW_START_MS,
      loadPercent: DEFAULT_LOAD_PERCENT,
    };
    this.balancer = new LoadBalancer(directory.table, {
      strategy: strategyOf(balancing, process.rng.int(1_000)),
      slowStartMs: SLOW_START_MS,
    });
    new LoadBalancerTicker(this.balancer, clock, logger).start();
    this.writes = new WriteProxy({
      directory,
      upstreams,
      parking: new WriteParking(),
      ownWrites: new OwnWrites(),
      balancer: this.balancer,
      metrics: new ProxyMetrics(noMetrics),
      clusterKey: 'key',
      monotonicMs: this.nowMs,
      logger,
    });
    const prober = new NodeProber({
      directory,
      upstreams,
      clock,
      logger,
      urgent: () => this.writes.parked > 0,
    });
    new NodeBusListener(bus, directory, logger).start();
    prober.start();
    platform.network.listen(process, (asked, reply) => this.answer(asked, reply));
    prober.askAll().catch((error: unknown) => process.world.fail('a prober broke', String(error)));
  }

  private answer(asked: Asked, reply: (answer: Answer) => void): void {
    if (asked.path === '/write') this.writes.handle(clientOf(asked, reply));
    else this.read(asked).then(reply, (error: unknown) => reply(readFailed(error)));
  }

  /** As ReadProxy does it: a node that cannot answer costs another try elsewhere. */
  private async read(asked: Asked): Promise<Answer> {
    const { directory, balancer } = this;
    const tried: Candidate[] = [];
    let last: Answer | undefined;
    while (tried.length < READ_TRIES) {
      const node = balancer.choose(asked.path, tried, this.nowMs());
      if (node === undefined) break;
      tried.push(node);
      balancer.sent(node);
      try {
        last = await callDoor(`${node.address}${asked.path}`, asked.body, READ_MS);
        directory.answered(node.address);
        if (last.status < 500) {
          balancer.succeeded(node);
          return last;
        }
      } catch (error) {
        balancer.failed(node, this.nowMs());
        if (error instanceof CallFailed) directory.broke(node.address, error.how);
      } finally {
        balancer.over(node);
      }
    }
    if (last !== undefined) return last;
    throw new Problem('no-available-node', 'no node answered');
  }
}

/** The part of node:http's objects that the write proxy touches. */
function clientOf(asked: Asked, reply: (answer: Answer) => void): Client {
  const request = Object.assign(new EventEmitter(), {
    method: 'POST',
    url: '/write',
    headers: asked.headers,
    rawHeaders: Object.entries(asked.headers).flat(),
    destroy: () => undefined,
  });
  const response = Object.assign(new EventEmitter(), {
    destroyed: false,
    writableEnded: false,
    headersSent: false,
    status: 0,
    headers: {} as Record<string, string>,
    writeHead(status: number, list: readonly string[]) {
      response.status = status;
      response.headersSent = true;
      for (let i = 0; i + 1 < list.length; i += 2) response.headers[list[i] ?? ''] = list[i + 1] ?? '';
    },
    end(body: Buffer | undefined) {
      response.writableEnded = true;
      reply({ status: response.status, headers: response.headers, body });
      response.emit('close');
    },
    destroy() {
      response.destroyed = true;
    },
  });
  asked.onGone(() => {
    response.destroyed = true;
    response.emit('close');
  });
  queueMicrotask(() => {
    request.emit('data', asked.body);
    request.emit('end');
  });
  return { req: request, res: response, requestId: 'r', extra: [] } as unknown as Client;
}

function readFailed(error: unknown): Answer {
  const problem = isProblem(error) ? error : new Problem('internal', String(error));
  return { status: problem.status, headers: {}, body: problem };
}
