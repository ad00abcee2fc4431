import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from '@nats-io/transport-node';
import { signing } from '#libs/testing';

/** As many nodes as they are asked for, in a process of their own: they answer `/health`, and beat when told to. */
const { count, nats } = JSON.parse(process.argv[2] ?? '') as {
  count: number;
  nats: { port: number; user: string; password: string };
};
const incarnation = Date.now();
const HEARTBEAT_EVERY_MS = 500;

interface Node {
  nodeId: string;
  address: string;
}

async function start(nodeId: string): Promise<Node> {
  const at = { version: 1_234, lag: 0 };
  const report = JSON.stringify({
    ...{ nodeId, incarnation, ...at, eventLoopP99Ms: 0.4, overloaded: false, status: 'ready' },
    checks: {
      state: { ok: true, version: 1_234 },
      serving: { ok: true },
      replica: { ok: true, condition: 'ok', verified: 'by-peer', role: 'follower', lag: 0 },
      load: { ok: true, eventLoopP99Ms: 0.4 },
      storage: { ok: true },
      bus: { ok: true },
    },
  });
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(report);
  });
  server.keepAliveTimeout = 72_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { nodeId, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const nodes = await Promise.all(Array.from({ length: count }, (_, i) => start(`node-${i + 1}`)));
const { port, user, password: pass } = nats;
const bus = signing(await connect({ port, user, pass }), 'a-secret-of-the-bench');
process.on('disconnect', () => process.exit(0));
process.on('message', (message) => {
  if (message !== 'beat') return;
  let seq = 0;
  setInterval(() => {
    seq += 1;
    for (const { nodeId, address } of nodes) {
      const place = { kind: 'config-node', role: 'follower', address, term: 3, version: 1_234 };
      bus.publish(
        'node.heartbeat',
        JSON.stringify({ nodeId, incarnation, seq, ...place, condition: 'ok', metadata: {} }),
      );
    }
  }, HEARTBEAT_EVERY_MS);
});
process.send?.(nodes);
