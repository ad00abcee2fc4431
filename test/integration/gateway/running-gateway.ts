import { Agent, request } from 'node:http';
import { performance } from 'node:perf_hooks';
import { type RunningService, startService } from '#libs/service';
import { gatewayApp } from '../../../apps/gateway/src/gateway.app.js';
import { loadGatewaySettings } from '../../../apps/gateway/src/gateway.config.js';
import type { FakeNode } from './fake-node.js';

export interface RunningGateway {
  base: string;
  port: number;
  service: RunningService;
  stop(): Promise<void>;
}

/** A gateway in this process; the bus is away unless told where it is. */
export async function startGateway(
  nodes: readonly Pick<FakeNode, 'id' | 'address'>[],
  env: Record<string, string> = {},
): Promise<RunningGateway> {
  const settings = loadGatewaySettings({
    argv: [],
    env: {
      HOLDFAST_INSTANCE_ID: 'gateway-t',
      HOLDFAST_PORT: '0',
      HOLDFAST_NATS_SERVERS: '127.0.0.1:1',
      HOLDFAST_CLUSTER_KEY: 'k'.repeat(32),
      HOLDFAST_NODES: nodes.map((node) => `${node.id}=${node.address}`).join(','),
      HOLDFAST_LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'error',
      ...env,
    },
    readFile: () => '',
  });
  const service = await startService(gatewayApp(settings));
  return {
    base: `http://127.0.0.1:${service.port}`,
    port: service.port,
    service,
    stop: async () => {
      agent.destroy(); // an idle connection is given 3 s to notice that the gateway leaves
      await service.stop();
    },
  };
}

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  ms: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 1_000 });

/** A plain request over kept-alive connections. Rejects when the connection breaks. */
export function ask(
  base: string,
  method: string,
  path: string,
  options: { body?: string | Buffer; headers?: Record<string, string>; agent?: Agent } = {},
): Promise<Answer> {
  const begun = performance.now();
  const { hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    const req = request(
      // The path as it is: a URL would resolve its dots.
      { hostname, port, path, method, headers: options.headers ?? {}, agent: options.agent ?? agent },
      (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('end', () =>
          resolve({
            status: res.statusCode ?? 0,
            headers: res.headers,
            text: Buffer.concat(chunks).toString('utf8'),
            ms: performance.now() - begun,
          }),
        );
        res.on('error', reject);
      },
    );
    req.on('error', reject);
    req.end(options.body);
  });
}
