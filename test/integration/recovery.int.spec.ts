import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ReplyPayload } from '#libs/contracts';
import { FaultProxy } from '#libs/testing';
import { FailoverLab, type FakeSupervisor } from './failover-lab.js';

let lab: FailoverLab;
let supervisor: FakeSupervisor;

/** Everything at a pace that a test can wait for. */
const QUICK = {
  HOLDFAST_RECOVERY_SELF_RESTART_MS: '1000',
  HOLDFAST_RECOVERY_RETRY_INTERVAL_MS: '200',
  HOLDFAST_RECOVERY_VERIFY_MS: '3000',
};

beforeAll(async () => {
  lab = await FailoverLab.open();
});
beforeEach(async () => {
  await lab.begin();
  supervisor = await lab.supervisor();
  supervisor.restart = (name) => lab.voter(name).start();
});
afterEach(() => lab.end());
afterAll(() => lab.close());

async function startTwo(change: Record<string, string> = {}): Promise<void> {
  const local = { HOLDFAST_RECOVERY_DRIVER: 'local', HOLDFAST_SUPERVISOR_ADDRESS: supervisor.address };
  await lab.startFailover('failover-1', { ...QUICK, ...local, ...change });
  await lab.startFailover('failover-2', { ...QUICK, ...local, ...change });
}

const follower = () => {
  const found = lab.voters.find((voter) => !voter.leads);
  if (!found) throw new Error('there is no follower');
  return found;
};
const state = (nodeId: string) => lab.heard.trail(nodeId).at(-1);

describe('a node that dies and stays away', () => {
  it('is restarted once by one of two instances, verified and caught up; every step is a row and a fact', async () => {
    await lab.startVoters(4);
    await startTwo();
    await lab.settled();
    const { id } = follower();
    await follower().crash();
    await lab.until('it is healthy', () => state(id) === 'healthy');
    await wait(1_500);
    expect(supervisor.asked).toEqual([id]);
    const trail = ['waiting', 'restarting', 'verifying', 'catching-up', 'healthy'];
    expect(lab.heard.trail(id)).toEqual(trail);
    const { recoveries } = await lab.ask<ReplyPayload<'failover.recoveries'>>('failover.recoveries', {
      nodeId: id,
    });
    expect(recoveries.map((step) => step.state).reverse()).toEqual(trail);
    expect(recoveries[0]).toMatchObject({ nodeId: id, seq: 5, attempt: 1, planned: false, why: 'level' });
    expect(await lab.holds()).toEqual([]);
  });

  it('is not healthy before it is ready and level', async () => {
    await lab.startVoters(4);
    await startTwo();
    await lab.settled();
    const node = follower();
    Object.assign(node, { ready: false, level: false });
    await node.crash();
    await lab.until('it is waited for', () => state(node.id) === 'waiting');
    await node.start();
    await lab.until('it is verified', () => state(node.id) === 'verifying');
    node.ready = true;
    await lab.until('it catches up', () => state(node.id) === 'catching-up');
    await wait(1_500);
    expect(state(node.id)).toBe('catching-up');
    node.level = true;
    await lab.until('it is healthy', () => state(node.id) === 'healthy');
    expect(supervisor.asked).toEqual([]);
  });

  it('is given up after its last try, with one alert', async () => {
    supervisor.restart = undefined;
    await lab.startVoters(4);
    await startTwo({ HOLDFAST_RECOVERY_MAX_RETRIES: '2' });
    await lab.settled();
    const node = follower();
    await node.crash();
    await lab.until('it is given up', () => state(node.id) === 'timed-out');
    await wait(1_500);
    expect(supervisor.asked).toEqual([node.id, node.id]);
    expect(lab.heard.alerts).toMatchObject([{ name: 'RecoveryTimeout', labels: { nodeId: node.id } }]);
    await node.start();
    await lab.until('it is taken back', () => state(node.id) === 'healthy');
  });

  it('is given up when its time is over and nothing could restart it', async () => {
    await lab.startVoters(4);
    await startTwo({ HOLDFAST_RECOVERY_DRIVER: 'none', HOLDFAST_RECOVERY_TIMEOUT_MS: '2000' });
    await lab.settled();
    const { id } = follower();
    await follower().crash();
    await lab.until('it is given up', () => lab.heard.alerts.length > 0);
    expect([supervisor.asked, lab.heard.trail(id)]).toEqual([[], ['waiting', 'timed-out']]);
  });
});

describe('most nodes at once', () => {
  it('are only observed, until most are well again', async () => {
    await lab.startVoters(4);
    await startTwo();
    await lab.settled();
    const dead = lab.voters.slice(0, 3);
    await Promise.all(dead.map((voter) => voter.crash()));
    await lab.until('all three are waited for', () => dead.every(({ id }) => state(id) === 'waiting'));
    await wait(3_000);
    expect(supervisor.asked).toEqual([]);
    await dead[0]?.start();
    await lab.until(
      'the others were restarted',
      () => dead.every(({ id }) => state(id) === 'healthy'),
      30_000,
    );
    expect(supervisor.asked.toSorted()).toEqual(dead.slice(1).map(({ id }) => id));
  });
});

describe('without the database', () => {
  it('nobody is restarted; what is still to be done is done when it is back', async () => {
    const { port } = lab.storage.server;
    const proxy = await FaultProxy.start({ host: '127.0.0.1', port });
    try {
      await lab.startVoters(4);
      await startTwo({ HOLDFAST_POSTGRES_HOSTS: `127.0.0.1:${proxy.port}` });
      await lab.settled();
      const { id } = follower();
      await follower().crash();
      await lab.until('it is waited for', () => state(id) === 'waiting');
      proxy.pause();
      await wait(3_500);
      expect([supervisor.asked, lab.heard.trail(id)]).toEqual([[], ['waiting']]);
      proxy.resume();
      await lab.until('it is healthy', () => state(id) === 'healthy', 30_000);
      expect(supervisor.asked).toEqual([id]);
    } finally {
      await lab.end();
      await proxy.close();
    }
  });
});

describe('a node that fails again and again', () => {
  /** Until it is quarantined: crashes and starts as a supervisor would have it. */
  async function flap(id: string): Promise<number> {
    const node = lab.voter(id);
    for (let crashes = 1; ; crashes++) {
      const seen = lab.heard.steps.length;
      await node.crash();
      const taken = () => lab.heard.steps.slice(seen).some((step) => step.nodeId === id);
      await lab.until('the failure is taken note of', taken);
      if (state(id) === 'quarantined') return crashes;
      await node.start();
      await lab.until('it is back', () => state(id) !== 'waiting');
      await wait(300); // its tether is tied
      if (crashes > 6) throw new Error('it is never quarantined');
    }
  }

  it('is quarantined after a handful, not restarted, not elected, and released by an operator', async () => {
    await lab.startVoters(3);
    await startTwo();
    const leader = await lab.settled();
    const { id } = follower();
    expect(await flap(id)).toBeLessThanOrEqual(4);
    await wait(2_500);
    expect(supervisor.asked).toEqual([]);
    expect(lab.heard.alerts).toMatchObject([{ name: 'NodeQuarantined', labels: { nodeId: id } }]);
    const [hold] = await lab.holds();
    expect(hold).toMatchObject({ nodeId: id, drained: false, seq: 1 });
    expect(Date.parse(hold?.quarantinedUntil ?? '') - Date.now()).toBeGreaterThan(20 * 60_000);
    expect(lab.heard.holds).toEqual([hold]);

    // It runs again, has the best priority, and is not chosen.
    await lab.voter(id).start();
    await leader.crash();
    await lab.until('another leader', () => lab.heard.elected.at(-1)?.previousLeaderId === leader.id);
    expect(lab.heard.elected.at(-1)?.leaderId).not.toBe(id);
    expect(await lab.ask('failover.handover', { to: id })).toMatchObject({ code: 'precondition-failed' });

    await leader.start();
    expect(await lab.ask('failover.release', { nodeId: id, why: 'new disk' })).toMatchObject({
      hold: { seq: 2, quarantinedUntil: null, why: 'new disk' },
    });
    await lab.until('it is healthy', () => state(id) === 'healthy');
  });

  it('is released by time', async () => {
    await lab.startVoters(4);
    await startTwo({ HOLDFAST_FLAP_HALF_LIFE_MS: '6000' });
    await lab.settled();
    const { id } = follower();
    await flap(id);
    await lab.voter(id).start();
    await lab.until('it is healthy', () => state(id) === 'healthy', 30_000);
    expect(await lab.holds()).toMatchObject([{ nodeId: id, quarantinedUntil: null }]);
  });
});

describe('a node that said that it stops', () => {
  it('has not failed: nothing is done, and nothing counted', async () => {
    await lab.startVoters(4);
    await startTwo();
    await lab.settled();
    const node = follower();
    node.stopping = true;
    await wait(800);
    await node.crash();
    await wait(4_000);
    expect([lab.heard.steps, supervisor.asked]).toEqual([[], []]);
    const { rows } = await lab.admin.query('select flaps from failover.recoveries where node_id = $1', [
      node.id,
    ]);
    expect(rows).toEqual([{ flaps: 0 }]);
  });
});

describe('an operator', () => {
  it('drains a node and puts it back; the last voter that may lead stays', async () => {
    await lab.startVoters(3);
    await startTwo();
    await lab.settled();
    const [first, second] = lab.voters.filter((voter) => !voter.leads).map(({ id }) => id);
    const drained = await lab.ask('failover.drain', { nodeId: first, drained: true, why: 'disk' });
    expect(drained).toMatchObject({ nodeId: first, hold: { drained: true, why: 'disk', seq: 1 } });
    await lab.ask('failover.drain', { nodeId: first, drained: true });
    await lab.until('it is told', () => lab.heard.holds.length === 1);
    expect(await lab.ask('failover.handover', { to: first })).toMatchObject({ code: 'precondition-failed' });
    expect(await lab.ask('failover.drain', { nodeId: 'node-9', drained: true })).toMatchObject({
      code: 'node-not-found',
    });

    const leader = await lab.leaderId();
    await lab.ask('failover.drain', { nodeId: leader, drained: true });
    expect(await lab.leaderId()).toBe(second);
    expect(lab.heard.elected.at(-1)).toMatchObject({ reason: 'handover', leaderId: second });
    expect(await lab.ask('failover.drain', { nodeId: second, drained: true })).toMatchObject({
      code: 'precondition-failed',
    });
    expect(await lab.leaderId()).toBe(second);

    const back = await lab.ask('failover.drain', { nodeId: first, drained: false });
    expect(back).toMatchObject({ hold: { drained: false, seq: 2 } });
    const holds = new Map((await lab.holds()).map((hold) => [hold.nodeId, hold.drained]));
    expect(Object.fromEntries(holds)).toEqual({ [String(first)]: false, [String(leader)]: true });
  });

  it('has a node that answers restart itself: no failure', async () => {
    await lab.startVoters(4);
    await startTwo();
    await lab.settled();
    const node = follower();
    node.onRestart = () => void node.crash().then(() => node.start());
    const { incarnation } = node;
    expect(await lab.ask('failover.restart', { nodeId: node.id })).toMatchObject({
      ...{ nodeId: node.id, driver: 'http', incarnation, hold: null },
    });
    await lab.until('it is healthy', () => state(node.id) === 'healthy');
    expect([node.restartsAsked, supervisor.asked]).toEqual([1, []]);
    expect(lab.heard.steps.every(({ planned }) => planned)).toBe(true);
    const { rows } = await lab.admin.query('select flaps from failover.recoveries where node_id = $1', [
      node.id,
    ]);
    expect(rows).toEqual([{ flaps: 0 }]);
  });

  it('has one that is frozen restarted by force', async () => {
    await lab.startVoters(4);
    await startTwo({ HOLDFAST_RECOVERY_SELF_RESTART_MS: '60000' });
    await lab.settled();
    const node = follower();
    supervisor.restart = async () => {
      node.thaw();
      await node.crash();
      await node.start();
    };
    node.freeze();
    await lab.until('it is judged', () => state(node.id) === 'waiting');
    expect(await lab.ask('failover.restart', { nodeId: node.id })).toMatchObject({ driver: 'local' });
    await lab.until('it is healthy', () => state(node.id) === 'healthy');
    expect(supervisor.asked).toEqual([node.id]);
  });
});
