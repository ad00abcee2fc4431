import { ApiClient, type Cluster } from '#libs/testing';

/** Longest gap of each node's event loop since the last call (the metric starts anew when it is read). */
export async function longestEventLoopGaps(cluster: Cluster): Promise<{ node: string; gapMs: number }[]> {
  const { nodes } = await cluster.view();
  return Promise.all(nodes.flatMap(({ id, address }) => (address === null ? [] : [longestGap(id, address)])));
}

async function longestGap(node: string, address: string): Promise<{ node: string; gapMs: number }> {
  const client = new ApiClient(address, 1);
  try {
    const { body } = await client.request('GET', '/metrics');
    const found = /^holdfast_nodejs_eventloop_lag_max_seconds(?:\{.*\})? (\S+)$/m.exec(body.toString());
    if (!found) throw new Error(`${node} tells no event loop lag`);
    return { node, gapMs: Number(found[1]) * 1_000 };
  } finally {
    await client.close();
  }
}

/** Sum of a counter over both gateways, by the label that is asked for. They share a port: each new connection meets one. */
export async function gatewayCounter(
  cluster: Cluster,
  name: string,
  label: string,
): Promise<Map<string, number>> {
  const pages = new Map<string, string>();
  for (let tries = 0; pages.size < 2; tries++) {
    if (tries > 500) throw new Error('only one gateway answers');
    const client = new ApiClient(cluster.gateway, 1);
    const { body } = await client.request('GET', '/metrics');
    await client.close();
    const page = body.toString();
    const gateway = /node="gateway-\d"/.exec(page)?.[0];
    if (gateway) pages.set(gateway, page);
  }
  const sums = new Map<string, number>();
  const sample = new RegExp(`^${name}\\{(.*)\\} (\\S+)$`, 'gm');
  for (const page of pages.values()) {
    for (const [, labels = '', value] of page.matchAll(sample)) {
      const key = new RegExp(`(?:^|,)${label}="([^"]*)"`).exec(labels)?.[1] ?? '';
      sums.set(key, (sums.get(key) ?? 0) + Number(value));
    }
  }
  return sums;
}
