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
