import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, pause, Workload } from '#libs/testing';
import { expectNoGatewayFailures, expectSoundHistory } from './expectations.js';
import { freezeLeader, killLeader, without } from './faults.js';

const KILLS = 10;
const FREEZES = 5;
const ROUNDS = 5;

/** The same faults as in the smoke part, many times over, on one cluster that never gets a rest. */
describe('faults without end', () => {
  let cluster: Cluster;
  const load = async (name: string, seed: number) =>
    Workload.start({ name, seed, gateway: cluster.gateway, nodes: await cluster.addresses() });

  beforeAll(async () => {
    cluster = await Cluster.start();
    await cluster.whole();
  });
  afterAll(() => cluster?.dispose());

  it(`the leader killed ${KILLS} times`, async () => {
    const workload = await load('kills', 11);
    await pause(2_000);
    for (let i = 0; i < KILLS; i++) {
      await killLeader(cluster, workload);
      await pause(2_000);
    }
    await expectSoundHistory(workload);
    expectNoGatewayFailures(workload);
  });

  it(`the leader frozen ${FREEZES} times`, async () => {
    const workload = await load('freezes', 12);
    await pause(2_000);
    for (let i = 0; i < FREEZES; i++) {
      await freezeLeader(cluster, workload, i * 1_000);
      await pause(2_000);
    }
    await expectSoundHistory(workload);
  });

  it.each(['nats', 'redis'])('%s lost again and again', async (name) => {
    const workload = await load(`without-${name}`, 13);
    for (let i = 0; i < ROUNDS; i++) {
      await without(cluster, name, () => pause(i * 3_000));
      await pause(2_000);
      await cluster.whole();
    }
    await expectSoundHistory(workload);
    expectNoGatewayFailures(workload);
  });

  it('Postgres lost again and again', async () => {
    const workload = await load('without-postgres', 14);
    for (let i = 0; i < ROUNDS; i++) {
      await without(cluster, 'postgres', () => pause(i * 3_000));
      await workload.nextWrite(30_000);
      await cluster.whole();
    }
    await expectSoundHistory(workload);
  });

  it('one thing after another', async () => {
    const workload = await load('anything', 15);
    for (let i = 0; i < ROUNDS; i++) {
      await without(cluster, 'nats', async () => {
        await cluster.kill(await cluster.leader());
        await workload.nextWrite(15_000);
      });
      await without(cluster, 'postgres', async () => {
        await pause(1_000);
        await cluster.kill(await cluster.leader());
        await pause(3_000);
      });
      await workload.nextWrite(30_000);
      await cluster.whole();
      await cluster.handOver();
      await workload.nextWrite(5_000);
    }
    await expectSoundHistory(workload);
    expect((await cluster.view()).nodes.every(({ status }) => status === 'healthy')).toBe(true);
  });
});
