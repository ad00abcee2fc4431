import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { rendezvousOwner } from '#libs/kernel';
import { ensureBuilt, ROOT } from '#libs/testing';
import { HealthLab, until } from './health-lab.js';
import type { ProbedNode } from './probed-node.js';

/** Three health instances as processes of their own, so that one can be killed. */
const INSTANCES = ['health-1', 'health-2', 'health-3'];
const INTERVAL_MS = 1_000;
let lab: HealthLab;

beforeAll(async () => {
  ensureBuilt();
  lab = await HealthLab.open();
});
beforeEach(() => lab.reset());
afterAll(() => lab.close());

function start(instanceId: string, nodes: readonly ProbedNode[]): ChildProcess {
  const child = spawn(process.execPath, [join(ROOT, 'dist/apps/health/src/main.js')], {
    env: { PATH: process.env.PATH, ...lab.environment(instanceId, nodes) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(child, 'exit');
  lab.onReset(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return child;
}

it('an instance that was stalled itself accuses nobody', async () => {
  const nodes = await Promise.all(['node-1', 'node-2', 'node-3'].map((id) => lab.node(id)));
  const child = start('health-1', nodes);
  for (const { id } of nodes) await lab.untilTold(id, 'up null', 20_000);
  for (let stalls = 0; stalls < 4; stalls++) {
    child.kill('SIGSTOP');
    await wait(2_000);
    child.kill('SIGCONT');
    const before = nodes.map(({ probes }) => probes.length);
    await until('it asks again', () => nodes.every(({ probes }, i) => probes.length > (before[i] ?? 0) + 1));
  }
  for (const { id } of nodes) expect(lab.told(id)).toEqual(['up null']);
}, 60_000);

const ownerAmong = (instances: string[]) => (node: ProbedNode) => rendezvousOwner(node.id, instances);

function observers(node: ProbedNode, sinceMs: number): string[] {
  return [...new Set(node.probes.filter(({ atMs }) => atMs > sinceMs).map(({ observer }) => observer))];
}

/** Waits for two intervals in which each node was asked by its owner and nobody else. */
async function untilShared(nodes: readonly ProbedNode[], instances: string[]): Promise<void> {
  const expected = nodes.map(ownerAmong(instances));
  await until(
    `${instances.join()} share the work`,
    async () => {
      const sinceMs = performance.now();
      await wait(1.5 * INTERVAL_MS);
      return nodes.every((node, i) => {
        const those = observers(node, sinceMs);
        return those.length === 1 && those[0] === expected[i];
      });
    },
    30_000,
  );
}

describe('three health instances', () => {
  it('share the nodes, take over when one is killed, and give back when it returns', async () => {
    const ids = Array.from({ length: 9 }, (_, i) => `node-${i + 1}`);
    const nodes = await Promise.all(ids.map((id) => lab.node(id)));
    const children = new Map(INSTANCES.map((instanceId) => [instanceId, start(instanceId, nodes)]));
    await untilShared(nodes, INSTANCES);
    expect(new Set(nodes.map(ownerAmong(INSTANCES))).size).toBe(3);

    // One of its nodes is down when the instance dies: somebody else must say so anew, and end it.
    const orphans = nodes.filter((node) => ownerAmong(INSTANCES)(node) === 'health-2');
    const [sick] = orphans;
    if (!sick) throw new Error('health-2 has no nodes');
    sick.mood = 'not-ready';
    await lab.untilTold(sick.id, 'down not-ready');
    children.get('health-2')?.kill('SIGKILL');
    const killedAtMs = performance.now();
    const rest = ['health-1', 'health-3'];
    const takenOverAfterMs = (node: ProbedNode) =>
      (node.probes.find(({ atMs, observer }) => atMs > killedAtMs && observer !== 'health-2')?.atMs ??
        Number.POSITIVE_INFINITY) - killedAtMs;
    await until('all are taken over', () => orphans.every((node) => takenOverAfterMs(node) < 60_000));
    await until('it is said anew', () => {
      const last = lab.changes.findLast(({ nodeId }) => nodeId === sick.id);
      return last?.health === 'down' && last.observer !== 'health-2';
    });
    sick.mood = 'ready';
    await lab.untilTold(sick.id, 'up null');
    await untilShared(nodes, rest);

    start('health-2', nodes);
    await untilShared(nodes, INSTANCES);
    expect(Math.max(...nodes.map(({ overlapping }) => overlapping))).toBeLessThanOrEqual(2);
  }, 120_000);
});
