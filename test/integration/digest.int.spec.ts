import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DIGEST_BUCKETS_BYTES, DIGEST_PARTS_BYTES, DigestKeysReply, DigestReply } from '#libs/contracts';
import {
  bucketOf,
  CUT_BYTES,
  checksumOf,
  encodeSnapshot,
  partOf,
  pinState,
  Replica,
  SnapshotDecoder,
  StateBuilder,
} from '#libs/replica';
import { FaultProxy } from '#libs/testing';
import {
  CLUSTER_KEY,
  type EngineLab,
  type LabNode,
  openEngineLab,
  put,
  until,
  write,
} from './engine/engine-lab.js';

let lab: EngineLab;
const proxies: FaultProxy[] = [];

beforeEach(async () => {
  lab = await openEngineLab();
});
afterEach(async () => {
  await lab.close();
  for (const proxy of proxies.splice(0)) await proxy.close();
});

async function publish(leader: LabNode, count: number, value = 'value'): Promise<void> {
  const writes = Array.from({ length: count }, (_, i) =>
    leader.engine.publisher.submit(write([put(`k${i}`, `${value} ${i}`)])),
  );
  await Promise.all(writes);
}

const isLevel = (a: LabNode, b: LabNode) =>
  a.replica.version === b.replica.version && a.replica.chain === b.replica.chain;
const isOk = (node: LabNode) => node.engine.membership.condition === 'ok';
const verified = (node: LabNode) => node.engine.integrity.verification.verified;
const snapshotOf = (node: LabNode) => join(node.dataDir, 'snapshot');

/** A leader, level followers, and the last `count` changes of `k0`, `k1`, ... */
async function cluster(count: number, ...followers: string[]): Promise<LabNode[]> {
  const leader = await lab.node('node-1');
  await lab.elect(leader);
  await publish(leader, count);
  const nodes = [leader];
  for (const id of followers) nodes.push(await lab.node(id));
  for (const node of nodes) await until(() => isLevel(leader, node) && isOk(node), `${node.id} is ok`);
  return nodes;
}

/** Writes a stopped node's snapshot anew, whole and with right checksums, but for one value. */
async function damageSnapshot(node: LabNode, key: string): Promise<void> {
  const decoder = new SnapshotDecoder();
  decoder.push(await readFile(snapshotOf(node)));
  const { header, state } = decoder.finish();
  const right = new Replica();
  right.load(header, state);
  const wrong = new StateBuilder();
  const page = right.list({ namespace: 'app', prefix: '', limit: 1e9, maxBytes: 1e9 });
  if (page === 'expired') throw new Error('the snapshot has no state');
  for (const entry of page.entries) {
    const value = entry.key === key ? Buffer.from('damaged') : entry.value;
    wrong.add({ ...entry, value, checksum: checksumOf(value) });
  }
  const replica = new Replica();
  replica.load(header, wrong);
  const pinned = await pinState(replica, async () => {});
  if (pinned === undefined) throw new Error('the window was overtaken');
  await writeFile(snapshotOf(node), Buffer.concat([...encodeSnapshot(pinned)]));
}

interface Alert {
  name: string;
  severity: string;
  summary: string;
  labels: Record<string, string>;
}

async function alertsOn(node: LabNode): Promise<Alert[]> {
  const alerts: Alert[] = [];
  node.bus.subscribeFamily('alert.raised', (alert) => {
    alerts.push(alert);
  });
  await node.bus.subscribed();
  return alerts;
}

function ask(node: LabNode, path: string): Promise<Response> {
  return fetch(`${node.address}/internal/digest${path}`, {
    headers: { 'holdfast-cluster-key': CLUSTER_KEY },
  });
}

async function digestOf(node: LabNode): Promise<DigestReply> {
  return DigestReply.parse(await (await ask(node, '')).json());
}

async function replicaCheck(node: LabNode): Promise<Record<string, unknown>> {
  const health = (await (await fetch(`${node.address}/health`)).json()) as {
    checks: { replica: Record<string, unknown> };
  };
  return health.checks.replica;
}

const valueAt = (node: LabNode, key: string) => node.replica.get('app', key)?.value.toString();

describe('a node that begins', () => {
  it('is ok only when another one has the same digest, an observer too, while writes go on', async () => {
    const [leader, follower] = (await cluster(50, 'node-2')) as [LabNode, LabNode];
    await follower.stop();
    let writing = true;
    const written = (async () => {
      while (writing) await publish(leader, 5, `at ${performance.now()}`);
    })();
    for (const options of [{}, { mayLead: false }]) {
      const restarted = await lab.node('node-2', options);
      const seen = new Set<string>();
      await until(async () => {
        const { condition, verified } = await replicaCheck(restarted);
        seen.add(`${condition} ${verified}`);
        return condition === 'ok';
      }, 'ok');
      expect(seen).toContain('ok by-peer');
      expect(seen).not.toContain('ok pending');
      const known = leader.replica.digestAt(restarted.replica.version);
      expect(known).toEqual(restarted.replica.digest);
      await restarted.stop();
    }
    writing = false;
    await written;
  });

  it('alone, counts on the chain after a while, and may lead before', async () => {
    const [alone] = (await cluster(20)) as [LabNode];
    expect(verified(alone)).toBe('by-chain');
    await alone.stop();
    const begun = performance.now();
    const restarted = await lab.node('node-1');
    const poll = async () => {
      const reply = await fetch(`${restarted.address}/internal/poll`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'holdfast-cluster-key': CLUSTER_KEY },
        body: JSON.stringify({ askedBy: 'test', term: 1, suspect: null }),
      });
      return (await reply.json()) as { eligible: boolean };
    };
    expect(await poll()).toMatchObject({ eligible: true, healthy: true });
    expect(await replicaCheck(restarted)).toMatchObject({ condition: 'syncing', verified: 'pending' });
    await lab.elect(restarted);
    await publish(restarted, 1, 'led at once');
    await until(() => isOk(restarted), 'ok');
    expect(performance.now() - begun).toBeGreaterThan(1_500);
    expect(verified(restarted)).toBe('by-chain');
  });

  it('with all others at the same time, is verified by them before anybody leads', async () => {
    const nodes = await cluster(50, 'node-2', 'node-3');
    const { digest } = (nodes[0] as LabNode).replica;
    for (const node of nodes.reverse()) await node.stop();
    const restarted = await Promise.all(['node-1', 'node-2', 'node-3'].map((id) => lab.node(id)));
    for (const node of restarted) await until(() => isOk(node), `${node.id} is ok`);
    expect(restarted.map(verified)).toEqual(['by-peer', 'by-peer', 'by-peer']);
    expect(restarted.map(({ replica }) => replica.digest)).toEqual([digest, digest, digest]);
  });
});

describe('a node whose snapshot holds a damaged state', () => {
  it('finds out from the leader, and starts again from the database', async () => {
    const [leader, follower] = (await cluster(50, 'node-2')) as [LabNode, LabNode];
    await follower.stop();
    await damageSnapshot(follower, 'k7');
    const alerts = await alertsOn(leader);
    const restarted = await lab.node('node-2');
    expect(valueAt(restarted, 'k7')).toBe('damaged');
    await until(() => isOk(restarted), 'ok');
    expect(verified(restarted)).toBe('by-peer');
    expect(valueAt(restarted, 'k7')).toBe('value 7');
    expect(restarted.replica.digest).toEqual(leader.replica.digest);
    await until(() => alerts.length > 0, 'an alert');
    expect(alerts).toMatchObject([{ name: 'replica.damaged', labels: { node: 'node-2' } }]);
    expect((await stat(`${snapshotOf(restarted)}.unequal`)).size).toBeGreaterThan(0);
    await restarted.stop();
    const again = await lab.node('node-2');
    expect(valueAt(again, 'k7')).toBe('value 7');
    await until(() => isOk(again), 'ok again');
    expect(alerts).toHaveLength(1);
  });

  it('gets the right one from the leader when there is no database', async () => {
    const database = await FaultProxy.start({ host: lab.storage.server.host, port: lab.storage.server.port });
    proxies.push(database);
    const [leader, follower] = (await cluster(50, 'node-2')) as [LabNode, LabNode];
    await follower.stop();
    await damageSnapshot(follower, 'k7');
    database.refuse();
    const restarted = await lab.node('node-2', { database: { host: '127.0.0.1', port: database.port } });
    expect(valueAt(restarted, 'k7')).toBe('damaged');
    await until(() => isOk(restarted), 'ok');
    expect(verified(restarted)).toBe('by-peer');
    expect(restarted.replica.digest).toEqual(leader.replica.digest);
    await publish(leader, 5, 'new');
    await until(() => isLevel(leader, restarted), 'it follows');
    expect(restarted.replica.digest).toEqual(leader.replica.digest);
  });

  it('is the only one to give its state up when all begin at the same time', async () => {
    const nodes = await cluster(50, 'node-2', 'node-3');
    for (const node of nodes.reverse()) await node.stop();
    await damageSnapshot(nodes[1] as LabNode, 'k7');
    const restarted = await Promise.all(['node-1', 'node-2', 'node-3'].map((id) => lab.node(id)));
    const resets: string[] = [];
    for (const node of restarted) node.engine.host.onReset(() => resets.push(node.id));
    for (const node of restarted) await until(() => isOk(node), `${node.id} is ok`);
    expect(new Set(restarted.map(({ replica }) => replica.digest.hash)).size).toBe(1);
    expect(restarted.map((node) => valueAt(node, 'k7'))).toEqual(['value 7', 'value 7', 'value 7']);
    expect(resets).toEqual(['node-2']);
  });

  it('leads no longer with it when it was elected before that was found out', async () => {
    const nodes = await cluster(50, 'node-2');
    for (const node of nodes.reverse()) await node.stop();
    await damageSnapshot(nodes[1] as LabNode, 'k7');
    const other = await lab.node('node-2');
    const alerts = await alertsOn(other);
    const damaged = await lab.node('node-1');
    await lab.elect(damaged);
    // Two that differ, neither verified: only the database can tell which one is right.
    await until(() => isOk(damaged) && isOk(other), 'both ok');
    expect([valueAt(damaged, 'k7'), valueAt(other, 'k7')]).toEqual(['value 7', 'value 7']);
    expect(damaged.replica.digest.hash).toBe(other.replica.digest.hash);
    await until(() => damaged.engine.publisher.isLeading, 'it leads again, with the right state');
    await publish(damaged, 5, 'new');
    await until(() => isLevel(damaged, other), 'level');
    expect(damaged.replica.digest).toEqual(other.replica.digest);
    expect(new Set(alerts.map(({ labels }) => labels.node))).toEqual(new Set(['node-1']));
  });
});

describe('the doors of the digest', () => {
  it('give equal answers on equal nodes, at the present and at earlier versions', async () => {
    const [leader, follower] = (await cluster(50, 'node-2')) as [LabNode, LabNode];
    const before = await digestOf(leader);
    expect(before).toEqual({
      nodeId: 'node-1',
      format: 1,
      ...leader.replica.digest,
      verified: verified(leader),
      damagedBuckets: [],
    });
    await publish(leader, 10, 'later');
    await until(() => isLevel(leader, follower), 'level');
    expect((await digestOf(follower)).hash).toBe((await digestOf(leader)).hash);
    const earlier = DigestReply.parse(await (await ask(leader, '?version=50')).json());
    expect(earlier).toEqual(before);

    const buckets = async (node: LabNode, version: number) => {
      const response = await ask(node, `/buckets?version=${version}`);
      const names = ['holdfast-version', 'holdfast-chain', 'holdfast-digest-format'];
      const headers = names.map((name) => response.headers.get(name));
      return { headers, bytes: Buffer.from(await response.arrayBuffer()) };
    };
    const [present, past] = [await buckets(leader, 60), await buckets(leader, 50)];
    expect(present.headers).toEqual(['60', leader.replica.chain, '1']);
    expect(past.headers).toEqual(['50', before.chain, '1']);
    expect(present.bytes.length).toBe(DIGEST_BUCKETS_BYTES);
    expect(await buckets(follower, 60)).toEqual(present);
    const differing = new Set<number>();
    for (let at = 0; at < DIGEST_BUCKETS_BYTES; at += CUT_BYTES) {
      if (present.bytes.compare(past.bytes, at, at + CUT_BYTES, at, at + CUT_BYTES) !== 0)
        differing.add(at / CUT_BYTES);
    }
    expect(differing).toEqual(new Set(Array.from({ length: 10 }, (_, i) => bucketOf('app', `k${i}`))));

    const bucket = bucketOf('app', 'k3');
    const keys = async (query: string) =>
      DigestKeysReply.parse(await (await ask(follower, `/keys?bucket=${bucket}${query}`)).json());
    const { value: _, updatedAt: _at, ...entry } = follower.replica.get('app', 'k3') ?? {};
    expect(await keys('')).toMatchObject({ format: 1, version: 60, bucket, truncated: false });
    expect((await keys('')).entries).toContainEqual(entry);
    const then = (await keys('&version=50')).entries.find(({ key }) => key === 'k3');
    expect(then?.checksum).toBe(checksumOf(Buffer.from('value 3')));

    const partsAt = async (version: number) => {
      const answer = await ask(leader, `/parts?bucket=${bucket}&version=${version}`);
      expect(answer.headers.get('holdfast-version')).toBe(String(version));
      return Buffer.from(await answer.arrayBuffer());
    };
    const [parts, partsThen] = [await partsAt(60), await partsAt(50)];
    expect(parts.length).toBe(DIGEST_PARTS_BYTES);
    const part = partOf('app', 'k3');
    const cut = (of: Buffer) => of.toString('hex', part * CUT_BYTES, (part + 1) * CUT_BYTES);
    expect(cut(parts)).not.toBe(cut(partsThen));
    expect((await keys(`&part=${part}`)).entries).toContainEqual(entry);
    expect((await keys(`&part=${part ^ 1}`)).entries).not.toContainEqual(entry);
  });

  it('say why they do not know, wait for a version when asked to, and are closed without the secret', async () => {
    const [leader, follower] = (await cluster(20, 'node-2')) as [LabNode, LabNode];
    await follower.stop();
    const loaded = await lab.node('node-2');
    for (const path of [
      '?version=',
      '/buckets?version=',
      '/keys?bucket=1&version=',
      '/parts?bucket=1&version=',
    ]) {
      const late = await ask(leader, `${path}21`);
      expect([late.status, await late.json()]).toMatchObject([
        504,
        { code: 'version-not-reached', reason: 'not-reached', version: 20 },
      ]);
      const gone = await ask(loaded, `${path}19`);
      expect([gone.status, await gone.json()]).toMatchObject([
        410,
        { code: 'version-compacted', reason: 'forgotten', version: 20 },
      ]);
      expect((await fetch(`${leader.address}/internal/digest${path}20`)).status).toBe(403);
    }
    const waiting = ask(leader, '?version=21&waitMs=1000');
    await publish(leader, 1);
    expect((await waiting).status).toBe(200);
    for (const path of [
      '?version=-1',
      '?waitMs=9999',
      '/keys',
      '/keys?bucket=1024',
      '/keys?bucket=1&part=64',
      '/parts',
    ]) {
      expect((await ask(leader, path)).status, path).toBe(400);
    }
  });

  it('put keys into the buckets that the database computes', async () => {
    const keys = [
      'server/port',
      'größe/\u{1F600}',
      '"quoted\\"',
      ...Array.from({ length: 100 }, (_, i) => `k${i}`),
    ];
    const { rows } = await lab.storage.admin.query<{ bucket: number }>(
      `select (get_byte(h, 0) << 2) | (get_byte(h, 1) >> 6) as bucket
         from unnest($1::text[]) with ordinality as keys (key, nth),
              sha256(convert_to('zone.eu', 'UTF8') || '\\x00'::bytea || convert_to(key, 'UTF8')) as h
        order by nth`,
      [keys],
    );
    expect(rows.map(({ bucket }) => bucket)).toEqual(keys.map((key) => bucketOf('zone.eu', key)));
  });
});

describe('the scrub', () => {
  it('finds what is altered in memory while writes go on, and tells of it once', async () => {
    const [leader] = (await cluster(300)) as [LabNode];
    const alerts = await alertsOn(leader);
    // A bucket that is looked at soon: a round takes most of a minute.
    const damaged = Array.from({ length: 300 }, (_, i) => `k${i}`).find((key) => {
      const bucket = bucketOf('app', key);
      return bucket > 150 && bucket < 300;
    });
    const entry = leader.replica.get('app', damaged ?? '');
    entry?.value.write('X');
    const mismatches = async () => {
      const text = await (await fetch(`${leader.address}/metrics`)).text();
      const lines = text
        .split('\n')
        .filter((line) => line.startsWith('holdfast_digest_scrub_mismatches_total{'));
      return lines.map((line) => [/kind="(\w+)"/.exec(line)?.[1], Number(line.split(' ').at(-1))]);
    };
    await until(
      async () => {
        await leader.engine.publisher.submit(write([put('busy', `at ${performance.now()}`)]));
        return alerts.length > 0;
      },
      'found',
      60_000,
    );
    expect(alerts).toMatchObject([{ name: 'replica.damaged-at-rest', severity: 'critical' }]);
    expect(alerts[0]?.summary).toContain(`app/${damaged} `);
    expect(await mismatches()).toEqual([['value', 1]]);
    const bucket = bucketOf('app', damaged ?? '');
    expect((await digestOf(leader)).damagedBuckets).toEqual([bucket]);
    const keys = DigestKeysReply.parse(await (await ask(leader, `/keys?bucket=${bucket}`)).json());
    const told = keys.entries.find(({ key }) => key === damaged);
    expect(told?.checksum).toBe(checksumOf(entry?.value ?? Buffer.alloc(0)));
    expect(told?.checksum).not.toBe(entry?.checksum);
  }, 90_000);
});
