import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, pause, Workload } from '#libs/testing';
import {
  expectNoGatewayFailures,
  expectOnlyFailures,
  expectSoundHistory,
  isBrokenConnection,
} from './expectations.js';
import { freezeLeader, killLeader } from './faults.js';

/** The leader is taken away in every way there is, under concurrent reads, writes and watches. */
describe('loss of the leader', () => {
  let cluster: Cluster;
  const load = async (name: string, seed: number) =>
    Workload.start({ name, seed, gateway: cluster.gateway, nodes: await cluster.addresses() });

  beforeAll(async () => {
    cluster = await Cluster.start();
    await cluster.whole();
  });
  afterAll(() => cluster?.dispose());

  it('killed: nothing acknowledged is lost, nothing fails through the gateway', async () => {
    const workload = await load('killed', 1);
    await pause(1_000);
    for (let i = 0; i < 3; i++) {
      await killLeader(cluster, workload);
      await pause(500);
    }
    await expectSoundHistory(workload);
    expectNoGatewayFailures(workload);
    expectOnlyFailures(workload, isBrokenConnection);
  });

  it('frozen past detection and thawed: it changes nothing any more', async () => {
    const workload = await load('frozen', 2);
    await pause(1_000);
    const deposed = await freezeLeader(cluster, workload, 1_000);
    await pause(2_000);
    expect(await cluster.leader()).not.toBe(deposed);
    await expectSoundHistory(workload);
    expectNoGatewayFailures(workload);
  });

  it('handed over: no write fails', async () => {
    const workload = await load('handed-over', 3);
    await pause(1_000);
    for (let i = 0; i < 3; i++) {
      const before = await cluster.view();
      const { leaderId, term } = await cluster.handOver();
      expect(leaderId).not.toBe(before.leaderId);
      expect(term).toBeGreaterThan(before.term);
      await workload.nextWrite(5_000);
      await pause(500);
    }
    await expectSoundHistory(workload);
    expectNoGatewayFailures(workload);
    expectOnlyFailures(workload, () => false);
  });
});
