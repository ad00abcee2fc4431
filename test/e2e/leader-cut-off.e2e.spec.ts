import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, FaultProxy, HandNode, pause, until, Workload } from '#libs/testing';
import { expectSoundHistory } from './expectations.js';

/** A leader that still talks to everybody but its database must give way, however the connection fails. */
describe('a leader cut from Postgres only', () => {
  let cluster: Cluster;
  let proxy: FaultProxy;
  let node: HandNode;

  beforeAll(async () => {
    cluster = await Cluster.start();
    await cluster.whole();
    const [host, port] = String(cluster.environment('node-1').HOLDFAST_POSTGRES_HOSTS).split(':');
    proxy = await FaultProxy.start({ host: host ?? '', port: Number(port) });
    node = await HandNode.start(cluster, {
      id: 'node-9',
      env: { HOLDFAST_POSTGRES_HOSTS: `127.0.0.1:${proxy.port}` },
    });
  });
  afterAll(async () => {
    await node?.kill();
    await cluster?.dispose();
    await proxy?.close();
  });

  it.each([
    { how: 'whose packets vanish', cut: () => proxy.drop() },
    {
      how: 'whose connections are refused',
      cut: () => {
        proxy.refuse();
        proxy.reset();
      },
    },
  ])('$how: another leads, no write is lost', async ({ cut }) => {
    await cluster.handOver(node.id);
    expect(await cluster.leader()).toBe(node.id);
    const workload = await Workload.start({
      name: `cut-${performance.now().toFixed(0)}`,
      seed: 5,
      gateway: cluster.gateway,
      nodes: await cluster.addresses(),
    });
    await pause(1_000);
    cut();
    await until('another leader', async () => (await cluster.leader()) !== node.id, 15_000);
    await workload.nextWrite(10_000);
    await pause(1_000);
    proxy.heal();
    await cluster.whole(60_000, 5);
    await expectSoundHistory(workload);
  });
});
