import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { GetNodeReply, HealthChanged, NodeHold } from '#libs/contracts';
import { type RunningService, startService } from '#libs/service';
import { registryApp } from '../../../apps/registry/src/registry.app.js';
import { loadRegistrySettings } from '../../../apps/registry/src/registry.config.js';
import { HealthLab, until } from './health-lab.js';
import type { ProbedNode } from './probed-node.js';

/** What becomes of health evidence: a registry and a health instance over the same servers, and no failover at all. */
let lab: HealthLab;

beforeAll(async () => {
  lab = await HealthLab.open();
});
beforeEach(async () => {
  await lab.reset();
  await lab.admin.query(
    'drop schema registry cascade; create schema registry authorization holdfast_registry',
  );
});
afterAll(() => lab.close());

async function startRegistry(change: Record<string, string> = {}): Promise<RunningService> {
  const { HOLDFAST_NODES: _nodes, ...env } = lab.environment('registry-1', [], {
    HOLDFAST_POSTGRES_PASSWORD: 'registry-pass',
    HOLDFAST_REDIS_PORT: '1',
    ...change,
  });
  const service = await startService(
    registryApp(loadRegistrySettings({ argv: [], env, readFile: () => '' })),
  );
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= service.stop();
    return stopped;
  };
  lab.onReset(stop);
  return { ...service, stop };
}

/** Says every 100 ms that the node lives and is well; returns how to stop it. */
function beating(node: ProbedNode): () => void {
  let seq = 0;
  const { id: nodeId, address } = node;
  const timer = setInterval(() => {
    const beat = { nodeId, incarnation: node.incarnation, seq: ++seq, kind: 'config-node', address };
    lab.bare.publish('node.heartbeat', JSON.stringify({ ...beat, condition: 'ok' }));
  }, 100);
  lab.onReset(async () => clearInterval(timer));
  return () => clearInterval(timer);
}

async function detail(nodeId: string): Promise<GetNodeReply> {
  const reply = await lab.bare.request('registry.get', JSON.stringify({ nodeId }), { timeout: 2_000 });
  return reply.json<GetNodeReply>();
}
const statusOf = async (nodeId: string) => {
  const { node } = await detail(nodeId);
  return `${node.status} ${node.reason}`;
};
const untilStatus = (nodeId: string, expected: string, withinMs?: number) =>
  until(`${nodeId} is ${expected}`, async () => (await statusOf(nodeId)) === expected, withinMs);

const publish = (subject: string, body: object) => lab.bare.publish(subject, JSON.stringify(body));

describe('the status of a node, without failover', () => {
  it('follows its checks: not ready, unreachable, and failed when the bus misses it too', async () => {
    const node = await lab.node('node-1');
    await startRegistry();
    await lab.health('health-1', [node]);
    const stop = beating(node);
    await untilStatus('node-1', 'healthy null');
    node.mood = 'not-ready';
    await untilStatus('node-1', 'degraded not-ready');
    node.mood = 'ready';
    await untilStatus('node-1', 'healthy null');
    await node.crash();
    await untilStatus('node-1', 'degraded unreachable');
    stop();
    await untilStatus('node-1', 'failed unresponsive');
    await until('its row', async () => (await detail('node-1')).transitions[0]?.to === 'failed');
    const { transitions } = await detail('node-1');
    expect(transitions[0]?.evidence).toMatchObject({
      silent: true,
      checks: 'unanswered',
      health: { observer: 'health-1', reason: 'refused' },
    });
    expect(transitions.map(({ to, reason }) => `${to} ${reason}`)).toEqual([
      'failed unresponsive',
      'degraded unreachable',
      'healthy null',
      'degraded not-ready',
      'healthy null',
      'degraded syncing',
    ]);
    await node.start();
    beating(node);
    await untilStatus('node-1', 'healthy null');
  });

  it('is not held down for ever by an instance that died', async () => {
    const node = await lab.node('node-1');
    await startRegistry();
    beating(node);
    await untilStatus('node-1', 'healthy null');
    const change: HealthChanged = {
      nodeId: 'node-1',
      incarnation: node.incarnation,
      health: 'down',
      reason: 'timeout',
      observer: 'health-of-yore',
      seq: 1,
      evidence: {},
      at: new Date().toISOString(),
    };
    const beganMs = performance.now();
    publish('health.changed', change);
    await untilStatus('node-1', 'degraded unreachable');
    await wait(2_000);
    publish('health.standing', { instanceId: 'health-of-yore', leaving: false, down: [change] });
    await untilStatus('node-1', 'healthy null', 12_000);
    expect(performance.now() - beganMs).toBeGreaterThan(6_500);
  });

  it('is told to a registry that starts later', async () => {
    const node = await lab.node('node-1');
    await lab.health('health-1', [node]);
    await lab.untilTold('node-1', 'up null');
    node.mood = 'not-ready';
    await lab.untilTold('node-1', 'down not-ready');
    beating(node);
    await startRegistry();
    await untilStatus('node-1', 'degraded not-ready');
  });
});

describe('a hold', () => {
  const hold = (seq: number, change: Partial<NodeHold> = {}): NodeHold => ({
    nodeId: 'node-1',
    seq,
    drained: false,
    quarantinedUntil: null,
    by: 'failover-1',
    why: 'test',
    at: new Date().toISOString(),
    ...change,
  });

  it('keeps a node out, and outlives the registry, also without failover', async () => {
    const node = await lab.node('node-1');
    const first = await startRegistry();
    beating(node);
    await untilStatus('node-1', 'healthy null');
    publish('node.hold', hold(2, { drained: true }));
    await untilStatus('node-1', 'degraded draining');
    await until('it is kept', async () => {
      const { rows } = await lab.admin.query('select from registry.holds where seq = 2');
      return rows.length === 1;
    });
    await first.stop();
    await startRegistry();
    await untilStatus('node-1', 'degraded draining');
    publish('node.hold', hold(1));
    await wait(300);
    expect(await statusOf('node-1')).toBe('degraded draining');
    publish('node.hold', hold(3, { quarantinedUntil: new Date(Date.now() + 1_500).toISOString() }));
    await untilStatus('node-1', 'failed quarantined');
    await untilStatus('node-1', 'healthy null');
  });

  it('is asked of failover at the start', async () => {
    const node = await lab.node('node-1');
    const answering = lab.bare.subscribe('failover.holds', {
      callback: (_error, message) =>
        void message.respond(JSON.stringify({ holds: [hold(5, { drained: true })] })),
    });
    await lab.bare.flush();
    beating(node);
    await startRegistry({ HOLDFAST_POSTGRES_HOSTS: '127.0.0.1:1' });
    await untilStatus('node-1', 'degraded draining');
    answering.unsubscribe();
  });
});
