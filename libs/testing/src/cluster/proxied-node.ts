import { freePort } from '#libs/embedded-servers';
import { FaultProxy } from '../fault-proxy.js';
import type { Cluster } from './cluster.js';
import { HandNode, type HandNodeOptions } from './hand-node.js';

/** A node by hand whose links can be cut one by one: what others send to it, and its own to the bus. */
export class ProxiedNode {
  private constructor(
    readonly hand: HandNode,
    /** Between everybody else and the node's HTTP door. */
    readonly http: FaultProxy,
    /** Between the node and NATS. */
    readonly bus: FaultProxy,
  ) {}

  /** Resolves when the cluster counts it as healthy. */
  static async start(cluster: Cluster, options: HandNodeOptions): Promise<ProxiedNode> {
    const port = options.port ?? (await freePort());
    const http = await FaultProxy.start({ host: '127.0.0.1', port });
    const [host = '', busPort] = String(cluster.environment('node-1').HOLDFAST_NATS_SERVERS).split(':');
    const bus = await FaultProxy.start({ host, port: Number(busPort) });
    const env = {
      HOLDFAST_ADDRESS: `http://127.0.0.1:${http.port}`,
      HOLDFAST_NATS_SERVERS: `127.0.0.1:${bus.port}`,
      ...options.env,
    };
    try {
      return new ProxiedNode(await HandNode.start(cluster, { ...options, port, env }), http, bus);
    } catch (error) {
      await Promise.all([http.close(), bus.close()]);
      throw error;
    }
  }

  get id(): string {
    return this.hand.id;
  }

  heal(): void {
    this.http.heal();
    this.bus.heal();
  }

  async close(): Promise<void> {
    await this.hand.kill();
    await Promise.all([this.http.close(), this.bus.close()]);
  }
}
