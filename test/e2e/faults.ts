import { type Cluster, pause, until, type Workload } from '#libs/testing';

/** Kills the leader with kill -9; returns how long until a write that began after the kill was acknowledged. */
export async function killLeader(cluster: Cluster, workload: Workload): Promise<number> {
  const leader = await cluster.leader();
  await cluster.kill(leader);
  const tookMs = await workload.nextWrite(15_000);
  await cluster.whole();
  return tookMs;
}

/** Freezes the leader for longer than its failure needs to be seen, then lets it go on where it stood. */
export async function freezeLeader(cluster: Cluster, workload: Workload, frozenMs: number): Promise<string> {
  const { leaderId, term } = await cluster.view();
  if (leaderId === null) throw new Error('there is no leader to freeze');
  // Under load there is always a batch under way.
  cluster.freeze(leaderId);
  try {
    await until('another leader', async () => (await cluster.view()).term > term, 10_000);
    await workload.nextWrite(10_000);
    await pause(frozenMs);
  } finally {
    cluster.thaw(leaderId);
  }
  await cluster.whole();
  return leaderId;
}

/** A process that was killed often is started again after longer and longer pauses. */
const BACK_WITHIN_MS = 60_000;

/** Keeps a process of the cluster dead while `meanwhile` runs; returns when it lives again. */
export async function without(
  cluster: Cluster,
  name: string,
  meanwhile: () => Promise<unknown>,
): Promise<void> {
  await until(`${name} runs`, () => cluster.runs(name), BACK_WITHIN_MS);
  const down = cluster.keepDown(name);
  try {
    await until(`${name} is down`, () => down.isDown, 5_000);
    await meanwhile();
  } finally {
    await down.release();
  }
  await until(`${name} runs`, () => cluster.runs(name), BACK_WITHIN_MS);
}
