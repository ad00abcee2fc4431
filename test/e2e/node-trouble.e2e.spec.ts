import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, ProxiedNode, pause, until, Workload } from '#libs/testing';
import { expectNoGatewayFailures, expectSoundHistory } from './expectations.js';
import { gatewayCounter } from './metrics.js';

/** A follower is troubled in every way there is: the trouble is named, and no client of the gateway notices. */
describe('a node in trouble', () => {
  let cluster: Cluster;
  let node: ProxiedNode;

  beforeAll(async () => {
    cluster = await Cluster.start();
    await cluster.whole();
    node = await ProxiedNode.start(cluster, { id: 'node-9', env: { HOLDFAST_NODE_PRIORITY: '1' } });
  });
  afterAll(async () => {
    await node?.close();
    await cluster?.dispose();
  });

  const seen = async () => {
    const found = (await cluster.view()).nodes.find(({ id }) => id === node.id);
    return `${found?.status} ${found?.reason ?? ''}`.trim();
  };
  const becomes = (judgement: string, withinMs: number) =>
    until(`${node.id} is ${judgement}`, async () => (await seen()) === judgement, withinMs, 20);

  /** Under load: the fault, what the node is then called, and the way back; nobody else may be judged, nor fail. */
  async function trouble(
    cause: () => void,
    judgement: string,
    withinMs: number,
    heal = () => node.heal(),
  ): Promise<void> {
    await becomes('healthy', 60_000);
    const before = await cluster.view();
    // Whoever goes around the gateway is none of its business: it goes to nodes without a fault.
    const nodes = before.nodes.filter(({ id }) => id !== node.id).flatMap(({ address }) => address ?? []);
    const workload = await Workload.start({
      name: `trouble-${performance.now().toFixed(0)}`,
      seed: 21,
      gateway: cluster.gateway,
      nodes,
      pauseMs: 10,
    });
    await pause(1_000);
    cause();
    await becomes(judgement, withinMs);
    await pause(3_000);
    expect(await seen()).toBe(judgement);
    heal();
    await becomes('healthy', 30_000);
    const after = await cluster.view();
    expect(after.term, 'no election').toBe(before.term);
    expect(after.nodes.map(({ status }) => status)).toEqual(after.nodes.map(() => 'healthy'));
    await expectSoundHistory(workload);
    expectNoGatewayFailures(workload);
    await expectNoEarlyRequests();
  }

  /** While others are well no request goes to a node that has not caught up or not been found equal. */
  async function expectNoEarlyRequests(): Promise<void> {
    const byStanding = await gatewayCounter(
      cluster,
      `holdfast_gateway_upstream_requests_total`,
      'status_at_pick',
    );
    expect(byStanding.get('syncing') ?? 0).toBe(0);
    expect(byStanding.get('healthy')).toBeGreaterThan(100);
  }

  it('slowed to 200 ms a round trip: no failure, and the others are asked instead', async () => {
    await becomes('healthy', 60_000);
    const { term } = await cluster.view();
    const share = async () => {
      const byNode = await gatewayCounter(cluster, 'holdfast_gateway_upstream_requests_total', 'node');
      const all = [...byNode.values()].reduce((sum, one) => sum + one, 0);
      return { all, slow: byNode.get(node.id) ?? 0 };
    };
    const { nodes } = await cluster.view();
    const workload = await Workload.start({
      name: 'slowed',
      seed: 22,
      gateway: cluster.gateway,
      nodes: nodes.filter(({ id }) => id !== node.id).flatMap(({ address }) => address ?? []),
      pauseMs: 5,
    });
    node.http.delay(100);
    await pause(1_000);
    const before = await share();
    await pause(5_000);
    const after = await share();
    expect(await seen()).toBe('healthy');
    node.heal();
    expect((await cluster.view()).term).toBe(term);
    await expectSoundHistory(workload);
    expectNoGatewayFailures(workload);
    // One of five equals would get a fifth.
    expect((after.slow - before.slow) / (after.all - before.all)).toBeLessThan(0.1);
  });

  it('cut off from NATS only: degraded, bus-partitioned', () =>
    trouble(() => node.bus.drop(), 'degraded bus-partitioned', 5_000));

  it('whose heartbeats alone are lost: degraded, bus-partitioned', () =>
    trouble(() => node.bus.drop('up'), 'degraded bus-partitioned', 5_000));

  it('whose HTTP door alone cannot be reached: degraded, unreachable', () =>
    trouble(() => node.http.drop(), 'degraded unreachable', 5_000));

  it('whose answers over HTTP alone are lost: degraded, unreachable', () =>
    trouble(() => node.http.drop('down'), 'degraded unreachable', 5_000));

  it('whose door refuses connections although it lives: degraded, unreachable', () =>
    trouble(
      () => {
        node.http.refuse();
        node.http.reset();
      },
      'degraded unreachable',
      5_000,
    ));

  it('cut off from everybody: failed, unresponsive', () =>
    trouble(
      () => {
        node.http.drop();
        node.bus.drop();
      },
      'failed unresponsive',
      5_000,
    ));

  it('frozen: failed, unresponsive, within 2.5 s', () =>
    trouble(
      () => process.kill(node.hand.pid, 'SIGSTOP'),
      'failed unresponsive',
      2_500,
      () => process.kill(node.hand.pid, 'SIGCONT'),
    ));
});
