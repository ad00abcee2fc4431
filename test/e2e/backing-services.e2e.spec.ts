import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, type Failure, pause, Workload } from '#libs/testing';
import {
  expectNoGatewayFailures,
  expectOnlyFailures,
  expectSoundHistory,
  isBrokenConnection,
} from './expectations.js';
import { without } from './faults.js';

/** The servers that Holdfast stands on die under concurrent reads, writes and watches. */
describe('loss of a backing service', () => {
  let cluster: Cluster;
  const load = async (name: string, seed: number) =>
    Workload.start({ name, seed, gateway: cluster.gateway, nodes: await cluster.addresses() });

  beforeAll(async () => {
    cluster = await Cluster.start();
    await cluster.whole();
  });
  afterAll(() => cluster?.dispose());

  it('NATS: nothing fails, and nobody loses the lead', async () => {
    const { term } = await cluster.view();
    const workload = await load('no-nats', 1);
    await pause(1_000);
    await without(cluster, 'nats', () => pause(4_000));
    await pause(2_000);
    await expectSoundHistory(workload);
    expectOnlyFailures(workload, () => false);
    expect((await cluster.view()).term).toBe(term);
  });

  it('Redis: nothing fails', async () => {
    const workload = await load('no-redis', 2);
    await pause(500);
    await without(cluster, 'redis', () => pause(3_000));
    await pause(1_000);
    await expectSoundHistory(workload);
    expectOnlyFailures(workload, () => false);
  });

  it('NATS, then the leader: writes resume within 5 s', async () => {
    await cluster.whole();
    const workload = await load('no-nats-no-leader', 3);
    await pause(1_000);
    await without(cluster, 'nats', async () => {
      await pause(1_000);
      const leader = await cluster.leader();
      await cluster.kill(leader);
      expect(await workload.nextWrite(15_000)).toBeLessThanOrEqual(5_000);
      await pause(1_000);
    });
    await cluster.whole();
    await expectSoundHistory(workload);
    expectNoGatewayFailures(workload);
    expectOnlyFailures(workload, isBrokenConnection);
  });

  it('Postgres: reads go on, writes are refused by name, and it comes back by itself', async () => {
    await cluster.whole();
    const workload = await load('no-postgres', 4);
    await pause(1_000);
    await without(cluster, 'postgres', () => pause(6_000));
    await workload.nextWrite(30_000);
    await pause(1_000);
    await cluster.whole();
    await expectSoundHistory(workload);
    expectOnlyFailures(workload, needsPostgres);
    const refused = workload.failures.filter(({ code }) => code === 'storage-unavailable');
    expect(refused.length).toBeGreaterThan(0);
  });
});

/** Without its database the system refuses writes and linearizable reads, by name; nothing else. */
function needsPostgres({ via, what, code }: Failure): boolean {
  if (what === 'linearizable-read') return code === 'storage-unavailable';
  if (what !== 'write') return false;
  // A direct client that went looking for another leader meanwhile may give up at a node that leads nothing.
  return (
    code === 'storage-unavailable' ||
    code === 'outcome-unknown' ||
    (via === 'direct' && code === 'not-leader')
  );
}
