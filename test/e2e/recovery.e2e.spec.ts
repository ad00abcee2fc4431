import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeHold, RecoveryStep } from '#libs/contracts';
import { ApiClient, Cluster, pause, until, Workload } from '#libs/testing';
import { expectNoGatewayFailures } from './expectations.js';

/** See the restart door: 5 s, and what passes before a process counts. */
const MAY_RESTART_AFTER_MS = 7_000;

interface NodePage {
  id: string;
  role: string;
  status: string;
  reason: string | null;
  incarnation: number;
  hold: NodeHold | null;
  recoveries: RecoveryStep[];
}

/** How nodes come back, and how operators treat them, on the whole real system. */
describe('recovery', () => {
  let cluster: Cluster;
  let api: ApiClient;
  beforeAll(async () => {
    cluster = await Cluster.start({ env: { HOLDFAST_FLAP_SUPPRESS: '2000' } });
    api = new ApiClient(cluster.gateway, 4);
    await cluster.whole();
  });
  afterAll(async () => {
    await api?.close();
    await cluster?.dispose();
  });

  const node = (id: string) => api.json<NodePage>(`/v1/nodes/${id}`);
  const post = async (id: string, verb: string, body: object = {}) => {
    const answer = await api.post(`/v1/nodes/${id}/${verb}`, body);
    return { status: answer.status, body: JSON.parse(answer.body.toString()) };
  };
  const becomes = (id: string, status: string, reason: string | null, withinMs = 20_000) =>
    until(
      `${id} is ${status} ${reason ?? ''}`,
      async () => {
        const page = await node(id);
        return page.status === status && page.reason === reason ? page : undefined;
      },
      withinMs,
      50,
    );
  const follower = async () => {
    const leader = await cluster.leader();
    return ['node-1', 'node-2', 'node-3'].find((id) => id !== leader) ?? '';
  };
  const load = async (name: string) =>
    Workload.start({ name, seed: 31, gateway: cluster.gateway, nodes: await cluster.addresses() });

  it('a leader that is drained hands over, is shown so, and comes back; no request fails', async () => {
    const workload = await load('drained');
    await pause(500);
    const leader = await cluster.leader();
    const drained = await post(leader, 'drain', { why: 'new disk' });
    expect(drained).toMatchObject({ status: 200, body: { hold: { drained: true, why: 'new disk' } } });
    expect(await cluster.leader()).not.toBe(leader);
    expect(await becomes(leader, 'degraded', 'draining')).toMatchObject({ role: 'follower' });
    const second = await cluster.leader();
    expect(await post(second, 'drain')).toMatchObject({ status: 200 });
    const last = await cluster.leader();
    expect(await post(last, 'drain')).toMatchObject({ status: 412, body: { code: 'precondition-failed' } });
    expect(await cluster.leader()).toBe(last);
    for (const id of [leader, second]) {
      expect(await post(id, 'undrain')).toMatchObject({ status: 200, body: { hold: { drained: false } } });
      await becomes(id, 'healthy', null);
    }
    await workload.finish();
    expectNoGatewayFailures(workload);
  });

  it('a node that is restarted on purpose comes back as another incarnation, without a stain', async () => {
    const id = await follower();
    const { incarnation } = await node(id);
    const pid = cluster.pid(id);
    // An incarnation begins as the time of the start; a process that is younger refuses to be restarted.
    await until('it is old enough', () => Date.now() - incarnation > MAY_RESTART_AFTER_MS, 10_000, 50);
    expect(await post(id, 'restart')).toMatchObject({ status: 200, body: { driver: 'http', incarnation } });
    await until('it is back', async () => (await node(id)).recoveries[0]?.state === 'healthy', 30_000, 50);
    const back = await becomes(id, 'healthy', null);
    expect(back.incarnation).toBeGreaterThan(incarnation);
    expect(cluster.pid(id)).not.toBe(pid);
    expect(back.recoveries.every(({ planned }) => planned)).toBe(true);
  });

  it('a frozen node is ended by force and started again', async () => {
    const id = await follower();
    const pid = cluster.freeze(id);
    const begunMs = performance.now();
    await becomes(id, 'failed', 'unresponsive');
    const seen = (await node(id)).recoveries[0]?.seq ?? 0;
    const isBack = async () => {
      const [last] = (await node(id)).recoveries;
      return last?.state === 'healthy' && last.seq > seen;
    };
    await until('it is back', isBack, 45_000, 50);
    process.stdout.write(`frozen, and healthy again after ${Math.round(performance.now() - begunMs)} ms\n`);
    expect(cluster.pid(id)).not.toBe(pid);
    expect((await node(id)).recoveries.find(({ state }) => state === 'restarting')).toMatchObject({
      attempt: 1,
    });
  });

  it('a node that is killed every 5 s is quarantined after a handful, until it is released', async () => {
    const id = 'node-4';
    let kills = 0;
    const begunMs = performance.now();
    while ((await node(id)).status !== 'failed' || (await node(id)).reason !== 'quarantined') {
      expect(kills).toBeLessThan(6);
      await cluster.kill(id);
      kills++;
      await pause(5_000);
      await until(`${id} runs`, () => cluster.runs(id), 30_000, 20);
    }
    process.stdout.write(`quarantined after ${kills} kills, ${Math.round(performance.now() - begunMs)} ms\n`);
    const page = await node(id);
    expect(Date.parse(page.hold?.quarantinedUntil ?? '')).toBeGreaterThan(Date.now() + 600_000);
    expect(page.recoveries[0]).toMatchObject({ state: 'quarantined', why: 'flapping' });
    await pause(3_000);
    expect(await node(id)).toMatchObject({ status: 'failed', reason: 'quarantined' });
    expect(await post(id, 'release')).toMatchObject({
      status: 200,
      body: { hold: { quarantinedUntil: null } },
    });
    await becomes(id, 'healthy', null, 30_000);
  });
});
