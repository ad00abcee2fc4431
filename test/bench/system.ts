import { Cluster, postgresClient } from '#libs/testing';

/** Runs a benchmark against a fresh cluster and leaves nothing behind. */
export async function withCluster(
  run: (cluster: Cluster) => Promise<void>,
  env: Record<string, string> = {},
): Promise<void> {
  const cluster = await Cluster.start({ env });
  try {
    await cluster.whole();
    await run(cluster);
  } finally {
    await cluster.dispose();
  }
}

export function portOf(address: string): number {
  return Number(new URL(address).port);
}

const SETTINGS = ['fsync', 'full_page_writes', 'synchronous_commit', 'server_version'];

/** The database's settings that decide what an acknowledgement is worth, as the nodes' own role has them. */
export async function durabilitySettings(cluster: Cluster): Promise<string> {
  const client = await postgresClient(cluster);
  try {
    const values: string[] = [];
    for (const name of SETTINGS) {
      const { rows } = await client.query<{ value: string }>('select current_setting($1) as value', [name]);
      values.push(`${name} ${rows[0]?.value}`);
    }
    return values.join(', ');
  } finally {
    await client.end();
  }
}

/** A voter that does not lead: the leader has other things to do than to serve reads and watches. */
export async function someFollower(cluster: Cluster): Promise<{ id: string; port: number }> {
  const { nodes, leaderId } = await cluster.whole();
  const found = nodes.find(({ id, role }) => id !== leaderId && role !== 'observer');
  if (!found?.address) throw new Error('there is no follower');
  return { id: found.id, port: portOf(found.address) };
}
