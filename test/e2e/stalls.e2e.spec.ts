import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, pause, until, Workload } from '#libs/testing';
import { expectNoGatewayFailures, expectSoundHistory } from './expectations.js';
import { CONTROL, FailureWatch, stall } from './stalls.js';

/** Processes that do not run for a while, as on a host without a core to spare. */
describe('a stall', () => {
  let cluster: Cluster;
  const load = async (name: string, seed: number) =>
    Workload.start({ name, seed, gateway: cluster.gateway, nodes: await cluster.addresses() });

  beforeAll(async () => {
    cluster = await Cluster.start();
    await cluster.whole();
  });
  afterAll(() => cluster?.dispose());

  it('of 4 s of any control process fails nobody and moves no leader', async () => {
    const { term } = await cluster.view();
    const watch = new FailureWatch(cluster).start();
    const workload = await load('control-stalls', 41);
    for (const name of CONTROL) {
      await stall(cluster, name, 4_000);
      await pause(1_000);
    }
    expect(await watch.stop()).toEqual([]);
    expect((await cluster.view()).term).toBe(term);
    await expectSoundHistory(workload);
    expectNoGatewayFailures(workload);
  });

  it('of under a second of any node is no failure', async () => {
    const { term, nodes } = await cluster.whole();
    const watch = new FailureWatch(cluster).start();
    const workload = await load('node-stalls', 42);
    for (const { id } of nodes) {
      await stall(cluster, id, 800);
      await pause(1_500);
    }
    expect(await watch.stop()).toEqual([]);
    expect((await cluster.view()).term).toBe(term);
    await expectSoundHistory(workload);
    expectNoGatewayFailures(workload);
  });

  it('of 4 s of the leader is exactly one failover, and nothing is lost', async () => {
    const { term, leaderId } = await cluster.whole();
    const workload = await load('leader-stall', 43);
    await pause(500);
    await stall(cluster, leaderId ?? '', 4_000);
    await until('it is welcomed back', async () => (await cluster.whole()).leaderId !== leaderId, 30_000);
    await pause(2_000);
    expect((await cluster.view()).term).toBe(term + 1);
    await expectSoundHistory(workload);
    expectNoGatewayFailures(workload);
  });
});
