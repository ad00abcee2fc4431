import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { changeFromWire, WireChange } from '#libs/contracts';
import { deferred } from '#libs/kernel';
import { FaultProxy } from '#libs/testing';
import {
  CLUSTER_KEY,
  type EngineLab,
  type LabNode,
  loggedVersions,
  openEngineLab,
  put,
  until,
  write,
} from './engine-lab.js';

let lab: EngineLab;
const proxies: FaultProxy[] = [];

beforeEach(async () => {
  lab = await openEngineLab();
});
afterEach(async () => {
  await lab.close();
  for (const proxy of proxies.splice(0)) await proxy.close();
});

/** Nobody listens there any more. */
function cut(proxy: FaultProxy): void {
  proxy.refuse();
  proxy.reset();
}

async function publish(leader: LabNode, count: number, prefix = 'k'): Promise<void> {
  const writes = Array.from({ length: count }, (_, i) =>
    leader.engine.publisher.submit(write([put(`${prefix}${i}`, `value ${i}`)])),
  );
  await Promise.all(writes);
}

const isLevel = (a: LabNode, b: LabNode) =>
  a.replica.version === b.replica.version && a.replica.chain === b.replica.chain;

function dump(node: LabNode) {
  return node.replica.namespaces().map(({ name }) => {
    const page = node.replica.list({ namespace: name, prefix: '', limit: 1e9, maxBytes: 1e9 });
    return page === 'expired'
      ? page
      : page.entries.map((e) => [e.key, e.version, e.value.toString('hex'), e.updatedAt]);
  });
}

describe('a follower', () => {
  it('applies what is broadcast within milliseconds', async () => {
    const leader = await lab.node('node-1');
    await lab.elect(leader);
    const follower = await lab.node('node-2', { mayLead: false });
    await publish(leader, 1);
    await until(() => isLevel(leader, follower), 'level');
    // Without the broadcast it would take a second and more each time; what else the machine does may delay some.
    const tookMs: number[] = [];
    for (let round = 0; round < 5; round++) {
      const begun = performance.now();
      await publish(leader, 1);
      await until(() => isLevel(leader, follower), 'level again');
      tookMs.push(performance.now() - begun);
    }
    expect(Math.min(...tookMs)).toBeLessThan(500);
    expect(follower.engine.host.isStale()).toBe(false);
    expect(follower.engine.leadership.role).toBe('observer');
    expect(follower.engine.leadership.leader).toMatchObject({ id: 'node-1', address: leader.address });
    expect(dump(follower)).toEqual(dump(leader));
  });

  it('that begins late catches up from the log', async () => {
    const leader = await lab.node('node-1');
    await lab.elect(leader);
    await publish(leader, 3_000);
    const follower = await lab.node('node-2');
    await until(() => isLevel(leader, follower), 'level');
    expect(dump(follower)).toEqual(dump(leader));
    await until(() => follower.engine.membership.condition === 'ok', 'verified');
  });

  it('finding 14: it catches up and leads while people hold every connection for history', async () => {
    const first = await lab.node('node-1');
    await lab.elect(first);
    await publish(first, 3_000);
    await first.stop();
    const reads = lab.storage.pool({ max: 1 });
    const held = deferred<void>();
    const holding = reads.withConnection(() => held.promise);
    const second = await lab.node('node-2', { reads });
    await lab.elect(second);
    await publish(second, 1);
    expect(second.replica.version).toBe(3_001);
    held.resolve();
    await holding;
  });

  it('goes on without the bus, by the database', async () => {
    const bus = await FaultProxy.start({ host: lab.nats.host, port: lab.nats.port });
    proxies.push(bus);
    const leader = await lab.node('node-1');
    await lab.elect(leader);
    const follower = await lab.node('node-2', { natsPort: bus.port });
    await until(() => follower.bus.connected, 'connected');
    cut(bus);
    await until(() => !follower.bus.connected, 'cut off');
    await publish(leader, 100);
    await until(() => isLevel(leader, follower), 'level without the bus');
    expect(follower.engine.host.isStale()).toBe(false);
  });

  it('fetches what is too large for the bus', async () => {
    const leader = await lab.node('node-1');
    await lab.elect(leader);
    const follower = await lab.node('node-2');
    await publish(leader, 1);
    await until(() => isLevel(leader, follower), 'level');
    const value = Buffer.alloc(1024 * 1024, 'x');
    const begun = performance.now();
    await leader.engine.publisher.submit(write([put('large', value)]));
    await leader.engine.publisher.submit(write([put('small', 'v')]));
    await until(() => isLevel(leader, follower), 'level with the large value');
    expect(performance.now() - begun).toBeLessThan(2_000);
    expect(follower.replica.get('app', 'large')?.value.equals(value)).toBe(true);
  });

  it('is brought up to date by pushed batches, and answers where it stands', async () => {
    const leader = await lab.node('node-1');
    await lab.elect(leader);
    await publish(leader, 20);
    const log = await fetch(`${leader.address}/internal/log?after=5&limit=10`, {
      headers: { 'holdfast-cluster-key': CLUSTER_KEY },
    });
    const changes = WireChange.array().parse(await log.json());
    expect(changes.map((change) => change.version)).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    const follower = await lab.node('node-2');
    await until(() => isLevel(leader, follower), 'level');
    const push = await fetch(`${follower.address}/sync`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'holdfast-cluster-key': CLUSTER_KEY },
      body: JSON.stringify({ changes }),
    });
    expect(await push.json()).toEqual({ version: 20, chain: leader.replica.chain });
    expect(changeFromWire(changes[0] as WireChange).operations).toHaveLength(1);
  });

  it('loads the whole state of another node when it is told to', async () => {
    const database = await FaultProxy.start({ host: lab.storage.server.host, port: lab.storage.server.port });
    const bus = await FaultProxy.start({ host: lab.nats.host, port: lab.nats.port });
    proxies.push(database, bus);
    const leader = await lab.node('node-1');
    await lab.elect(leader);
    await publish(leader, 20);
    const behind = { host: '127.0.0.1', port: database.port };
    const follower = await lab.node('node-2', { database: behind, natsPort: bus.port });
    await until(() => isLevel(leader, follower), 'level');
    cut(database);
    cut(bus);
    await publish(leader, 500, 'later');
    const catchUp = (body: unknown) =>
      fetch(`${follower.address}/internal/catch-up`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'holdfast-cluster-key': CLUSTER_KEY },
        body: JSON.stringify(body),
      });
    expect((await catchUp({ by: 'state', from: ['node-9'] })).status).toBe(503);
    expect(isLevel(leader, follower)).toBe(false);
    const loaded = await catchUp({ by: 'state', from: ['node-9', 'node-1'] });
    const { version, chain } = leader.replica;
    expect(await loaded.json()).toEqual({ version, chain, entries: 520 });
    expect(dump(follower)).toEqual(dump(leader));
    expect((await catchUp({ by: 'head' })).status).toBe(200);
  });

  it('reads only from its memory when database and bus are gone', async () => {
    const database = await FaultProxy.start({ host: lab.storage.server.host, port: lab.storage.server.port });
    const bus = await FaultProxy.start({ host: lab.nats.host, port: lab.nats.port });
    proxies.push(database, bus);
    const leader = await lab.node('node-1');
    await lab.elect(leader);
    await publish(leader, 10);
    const follower = await lab.node('node-2', {
      database: { host: '127.0.0.1', port: database.port },
      natsPort: bus.port,
    });
    await until(() => isLevel(leader, follower), 'level');
    cut(database);
    cut(bus);
    await until(() => follower.engine.host.isStale(), 'stale');
    expect(follower.replica.get('app', 'k3')?.value.toString()).toBe('value 3');
    expect(follower.engine.membership.condition).toBe('stale');
  });
});

describe('the internal doors', () => {
  it('follow the log, from the past into the present', async () => {
    const leader = await lab.node('node-1');
    await lab.elect(leader);
    await publish(leader, 5);
    const abort = new AbortController();
    const response = await fetch(`${leader.address}/internal/follow?after=2`, {
      headers: { 'holdfast-cluster-key': CLUSTER_KEY },
      signal: abort.signal,
    });
    const versions: number[] = [];
    let text = '';
    const reading = (async () => {
      for await (const chunk of response.body ?? []) {
        text += Buffer.from(chunk).toString();
        const lines = text.split('\n');
        text = lines.pop() ?? '';
        for (const line of lines) {
          const { changes = [] } = JSON.parse(line) as { changes?: { version: number }[] };
          versions.push(...changes.map(({ version }) => version));
        }
      }
    })().catch(() => undefined);
    await until(() => versions.length === 3, 'the past');
    await publish(leader, 2, 'later');
    await until(() => versions.length === 5, 'the present');
    expect(versions).toEqual([3, 4, 5, 6, 7]);
    abort.abort();
    await reading;
  });

  it('give the whole state, which another node can start from', async () => {
    const leader = await lab.node('node-1');
    await lab.elect(leader);
    await publish(leader, 50);
    const { PeerClient } = await import('../../../apps/config-node/src/peers/peer-client.js');
    const { header, state } = await new PeerClient(CLUSTER_KEY).snapshot(leader.address);
    expect([header.version, header.chain, state.entries]).toEqual([50, leader.replica.chain, 50]);
  });

  it('are closed without the secret', async () => {
    const node = await lab.node('node-1');
    for (const path of ['/internal/log?after=0', '/internal/snapshot', '/internal/follow?after=0']) {
      expect((await fetch(`${node.address}${path}`)).status, path).toBe(403);
    }
    // That the process lives is no secret, and failover asks addresses that it only heard of.
    const liveness = await fetch(`${node.address}/internal/tether`);
    expect(liveness.status).toBe(200);
    await liveness.body?.cancel();
  });
});

describe('the snapshot on disk', () => {
  it('lets a node start with nothing else, stale until it learns the head', async () => {
    const database = await FaultProxy.start({ host: lab.storage.server.host, port: lab.storage.server.port });
    proxies.push(database);
    const leader = await lab.node('node-1');
    await lab.elect(leader);
    await publish(leader, 100);
    const state = dump(leader);
    await leader.stop();
    cut(database);
    const restarted = await lab.node('node-1', {
      database: { host: '127.0.0.1', port: database.port },
      natsPort: 1,
    });
    expect(dump(restarted)).toEqual(state);
    expect(restarted.engine.host.isStale()).toBe(true);
    database.heal();
    await until(() => !restarted.engine.host.isStale(), 'fresh');
    // It was the leader: it does not resume its term.
    expect(restarted.engine.leadership.role).toBe('follower');
  });

  it('is set aside when it is damaged, and the node synchronises anew', async () => {
    const leader = await lab.node('node-1');
    await lab.elect(leader);
    await publish(leader, 100);
    const follower = await lab.node('node-2');
    await until(() => isLevel(leader, follower), 'level');
    await follower.stop();
    const path = join(follower.dataDir, 'snapshot');
    const bytes = await readFile(path);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
    await writeFile(path, bytes);
    const restarted = await lab.node('node-2');
    await until(() => isLevel(leader, restarted), 'level again');
    expect(dump(restarted)).toEqual(dump(leader));
    expect((await stat(`${path}.damaged`)).size).toBe(bytes.length);
  });
});

describe('when the database lost what was acknowledged', () => {
  /** As a failover to a standby that lagged behind: the last versions are gone. */
  async function loseTail(from: number): Promise<void> {
    const { admin } = lab.storage;
    await admin.query(`
      begin;
      delete from config.changes where version >= ${from};
      delete from config.change_ops where version >= ${from};
      delete from config.entries where version >= ${from};
      update config.head set version = ${from - 1},
        chain = (select chain from config.changes where version = ${from - 1});
      commit`);
  }

  it('finding 13: a new leader that never heard of the tail asks who held it, and uses no version twice', async () => {
    const first = await lab.node('node-1');
    await lab.elect(first);
    await publish(first, 10);
    const second = await lab.node('node-2');
    await until(() => isLevel(first, second), 'level');
    await first.stop();
    await loseTail(8);
    await until(() => second.replica.version === 7, 'what the database lost is given up');
    const ofLost = async () => {
      const { rows } = await lab.storage.admin.query(
        `select version::int, lost_from::int, lost_to::int from config.changes where kind = 'lost'`,
      );
      return rows;
    };
    const silent = await FaultProxy.start({ host: lab.nats.host, port: lab.nats.port });
    proxies.push(silent);
    cut(silent);
    const third = await lab.node('node-3', { natsPort: silent.port });
    await until(() => third.replica.version === 7, 'it stands where the database stands');
    await lab.elect(third);
    await publish(third, 1);
    expect(await ofLost()).toEqual([{ version: 11, lost_from: 8, lost_to: 10 }]);
    expect(third.replica.version).toBe(12);
  });

  it('finding 13: a node that gave a tail up still knows of it after a restart', async () => {
    const first = await lab.node('node-1');
    await lab.elect(first);
    await publish(first, 10);
    const second = await lab.node('node-2');
    await until(() => isLevel(first, second), 'level');
    await first.stop();
    await loseTail(8);
    await until(() => second.replica.version === 7, 'what the database lost is given up');
    await second.stop();
    const again = await lab.node('node-2');
    await lab.elect(again);
    await publish(again, 1);
    expect((await loggedVersions(lab)).slice(-2)).toEqual([11, 12]);
  });

  it('a tail, nodes keep it in a file, and its versions are not used again', async () => {
    const leader = await lab.node('node-1');
    await lab.elect(leader);
    await publish(leader, 10);
    const follower = await lab.node('node-2');
    await until(() => isLevel(leader, follower), 'level');
    const resets: string[] = [];
    follower.engine.host.onReset(({ reason, version }) => resets.push(`${reason} ${version}`));
    await loseTail(8);
    await until(() => resets.length > 0, 'the follower discards the tail');
    // Head at 7, or already behind the leader's word on what is lost.
    expect(resets.join()).toMatch(/^diverged (7|11)$/);
    const [file] = await readdir(join(follower.dataDir, 'discarded'));
    const lines = (await readFile(join(follower.dataDir, 'discarded', file as string), 'utf8'))
      .trim()
      .split('\n');
    expect(lines.map((line) => WireChange.parse(JSON.parse(line)).version)).toEqual([8, 9, 10]);
    await until(
      () => leader.replica.version === 11,
      'the leader finds out by its fence, and says what is lost',
    );
    await lab.elect(follower);
    const outcome = await follower.engine.publisher.submit(write([put('after', 'v')]));
    expect(outcome.version).toBe(12);
    await until(() => isLevel(leader, follower), 'both on the new history');
    expect(dump(leader)).toEqual(dump(follower));
    const { rows } = await lab.storage.admin.query(
      `select version::int, kind, lost_from::int, lost_to::int from config.changes where kind = 'lost'`,
    );
    expect(rows).toEqual([{ version: 11, kind: 'lost', lost_from: 8, lost_to: 10 }]);
  });

  it('a tail that head has passed since, a node that was away finds out all the same', async () => {
    const leader = await lab.node('node-1');
    await lab.elect(leader);
    await publish(leader, 10);
    const away = await lab.node('node-2');
    await until(() => isLevel(leader, away), 'level');
    await away.stop();
    await loseTail(8);
    await until(() => leader.replica.version === 7 || leader.replica.version === 11, 'the leader finds out');
    const third = await lab.node('node-3');
    await until(() => third.replica.clusterId !== null, 'a node that never had the tail');
    await lab.elect(third);
    await publish(third, 20, 'after');
    const back = await lab.node('node-2');
    await until(() => isLevel(third, back), 'on the new history');
    expect(dump(back)).toEqual(dump(third));
    // It holds the tail only as state, without the changes: the state is kept.
    expect((await readdir(back.dataDir)).join()).toContain('before-10');
  });

  it('all of it, nothing is wiped: the node keeps its state, stale and read-only', async () => {
    const leader = await lab.node('node-1');
    await lab.elect(leader);
    await publish(leader, 10);
    const follower = await lab.node('node-2');
    await until(() => isLevel(leader, follower), 'level');
    const state = dump(follower);
    await lab.storage.admin.query(`
      begin;
      truncate config.changes, config.change_ops, config.entries;
      update config.head set version = 0, chain = decode(repeat('00', 32), 'hex'), term = 0, leader_id = null,
        incarnation = 0, attempt = 0, cluster_id = gen_random_uuid();
      commit`);
    await until(() => follower.engine.membership.condition === 'wrong-database', 'found out');
    await until(() => leader.engine.membership.condition === 'wrong-database', 'found out by the leader');
    expect(follower.engine.host.isStale()).toBe(true);
    expect(dump(follower)).toEqual(state);
    const error = await leader.engine.publisher.submit(write([put('a', 'v')])).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'not-leader' });
    const reply = await fetch(`${follower.address}/internal/poll`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'holdfast-cluster-key': CLUSTER_KEY },
      body: JSON.stringify({ askedBy: 'test', term: 0, suspect: null }),
    });
    expect(await reply.json()).toMatchObject({ eligible: false, reason: 'wrong-database', version: 10 });
    await follower.stop();
    const restarted = await lab.node('node-2');
    await until(() => restarted.engine.membership.condition === 'wrong-database', 'found out again');
    expect(dump(restarted)).toEqual(state);
  });
});
