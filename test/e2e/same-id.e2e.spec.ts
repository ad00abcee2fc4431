import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, freePort, HandNode, pause, until } from '#libs/testing';

/** After so long a node counts as the one that its id belongs to. */
const ESTABLISHED_MS = 10_500;

/** A second process with the id of a node, on another port and in another folder, as by a copied configuration. */
describe('report 6: two processes with one node id', () => {
  let cluster: Cluster;
  let listener: NatsConnection;
  const alerts: { name: string; labels: Record<string, string> }[] = [];
  const started: HandNode[] = [];

  beforeAll(async () => {
    cluster = await Cluster.start();
    await cluster.whole();
    const servers = String(cluster.environment('node-1').HOLDFAST_NATS_SERVERS);
    const pass = readFileSync(join(cluster.home, 'secrets', 'nats-listener'), 'utf8').trim();
    listener = await connect({ servers, user: 'listener', pass });
    listener.subscribe('alert.raised.critical', {
      callback: (_error, message) => void alerts.push(message.json()),
    });
    await listener.flush();
  });
  afterAll(async () => {
    for (const node of started) if (node.runs) await node.kill();
    await listener?.close();
    await cluster?.dispose();
  });

  const spawn = async (id: string, name: string, env: Record<string, string> = {}) => {
    const node = HandNode.spawn(cluster, { id, name, port: await freePort(), env });
    started.push(node);
    return node;
  };
  const logOf = (name: string) => readFileSync(join(cluster.home, 'log', `${name}.log`), 'utf8');
  const view = async (id: string) => (await cluster.view()).nodes.find((node) => node.id === id);
  const becomes = (id: string, address: string) =>
    until(
      `${id} is healthy at ${address}`,
      async () => {
        const node = await view(id);
        return node?.status === 'healthy' && node.address === address;
      },
      60_000,
    );

  it.each(['a follower', 'the leader'])('the second of %s ends and changes nothing', async (which) => {
    const before = await cluster.whole();
    const leads = which === 'the leader';
    const victim = before.nodes.find(
      ({ id, role }) => (id === before.leaderId) === leads && role !== 'observer',
    );
    const id = victim?.id ?? '';
    alerts.length = 0;

    const second = await spawn(id, `second-${id}`);
    expect(await second.ended(60_000)).toBe(1);
    expect(logOf(`second-${id}`)).toContain(`another process is ${id} and answers at ${victim?.address}`);
    expect(logOf(id)).toContain('another process runs with the id of this node');
    await until('the alert', () => alerts.some(({ name }) => name === 'node.same-id'), 5_000);
    expect(alerts.find(({ name }) => name === 'node.same-id')?.labels).toEqual({ node: id });

    const after = await cluster.whole();
    expect(after.term).toBe(before.term);
    expect(after.nodes.find((node) => node.id === id)).toMatchObject({
      incarnation: victim?.incarnation,
      address: victim?.address,
    });
  });

  it('a second that gives the address of the first as its own ends too', async () => {
    const { nodes } = await cluster.whole();
    const first = nodes.find(({ role }) => role === 'observer');
    const id = first?.id ?? '';
    const address = first?.address ?? '';
    const second = await spawn(id, `copy-of-${id}`, { HOLDFAST_ADDRESS: address });
    expect(await second.ended(60_000)).toBe(1);
    expect(logOf(`copy-of-${id}`)).toContain(`another process is ${id} and answers at ${address}`);
    expect(logOf(id)).toContain('another process runs with the id of this node');
    expect(await view(id)).toMatchObject({ incarnation: first?.incarnation, status: 'healthy' });
  });

  it('the second of one that was frozen ends when that answers again, which is then a member as before', async () => {
    const first = await spawn('node-7', 'node-7');
    await first.healthy(cluster);
    process.kill(first.pid, 'SIGSTOP');
    const second = await spawn('node-7', 'second-7');
    await until(
      'the second is heard',
      async () => (await view('node-7'))?.address === second.address,
      30_000,
    );
    process.kill(first.pid, 'SIGCONT');
    expect(await second.ended(30_000)).toBe(1);
    await becomes('node-7', first.address);
    expect(first.runs).toBe(true);
    await first.kill();
  });

  it('the first of one that took its place for good ends', async () => {
    const first = await spawn('node-8', 'node-8');
    await first.healthy(cluster);
    process.kill(first.pid, 'SIGSTOP');
    const second = await spawn('node-8', 'second-8');
    await becomes('node-8', second.address);
    await pause(ESTABLISHED_MS);
    process.kill(first.pid, 'SIGCONT');
    expect(await first.ended(40_000)).toBe(1);
    expect(logOf('node-8')).toContain('this process was replaced');
    await becomes('node-8', second.address);
    await second.kill();
  });
});
