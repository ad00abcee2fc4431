import { afterEach, describe, expect, it } from 'vitest';
import { type ConsistencyCheckReply, RepairReply, type RepairRequest } from '#libs/contracts';
import { bucketOf, checksumOf } from '#libs/replica';
import { CLUSTER_KEY, type LabNode, put, until, write } from '../engine/engine-lab.js';
import { ConsistencyLab, flipByte, misapply } from './consistency-lab.js';

let lab: ConsistencyLab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

async function open(keys: number, ...followers: string[]): Promise<ConsistencyLab> {
  lab = await ConsistencyLab.open(keys, ...followers);
  return lab;
}

const valueAt = (node: LabNode, key: string) => node.replica.get('app', key)?.value.toString();
const asText = (difference: { key: string; class: string }) => `${difference.key} ${difference.class}`;

describe('a check that is asked for', () => {
  it('finds nothing on equal nodes while writes go on', async () => {
    const lab = await open(30, 'node-2', 'node-3');
    await lab.start('c-1', { HOLDFAST_CONSISTENCY_REPAIR: '0' });
    let writing = true;
    const writes = (async () => {
      while (writing) await lab.publish(5, `at ${performance.now()}`);
    })();
    for (let i = 0; i < 20; i++) {
      const reply = await lab.check();
      expect(reply.found).toEqual([]);
      expect(reply.nodes.map(({ result }) => result)).not.toContain('mismatch');
    }
    writing = false;
    await writes;
    await lab.level();
    expect((await lab.check()).consistent).toBe(true);
  });

  it('judges by what is left of the log, and a node that was away for longer than it is kept is level again', async () => {
    const lab = await open(5, 'node-2');
    const { store } = lab.engines.storage;
    await lab.node(1).stop();
    for (let i = 0; i < 3; i++) await lab.publish(5, `again ${i}`);
    const { version, term, leaderId, incarnation } = await store.readHead();
    const slice = {
      namespace: 'app',
      after: '',
      keys: 10,
      operationsPerKey: 10,
      upTo: version,
      maxVersions: 1,
    };
    const old = (await store.compaction.slice(slice)).flatMap(({ operations }) => operations);
    expect(await store.compaction.remove({ term, leaderId: leaderId ?? '', incarnation }, old)).toBe(15);
    expect(await store.log.floor()).toBeGreaterThan(version - 5);
    lab.nodes[1] = await lab.engines.node('node-2');
    await lab.level();
    await lab.start('c-1');
    await until(async () => (await lab.check()).consistent, 'all match');
    const node = lab.node(1);
    misapply(node, 'k3', 'wrong');
    misapply(node, 'k4', null);
    misapply(node, 'x', 'extra', 7);
    const { found } = await lab.check(true);
    expect(found[0]?.differences.map(asText).sort()).toEqual(['k3 mismatch', 'k4 missing', 'x extra']);
    expect(valueAt(node, 'k3')).toBe('again 2 3');
    expect(valueAt(node, 'x')).toBeUndefined();
  });

  it('classifies what is wrong, touches nothing unless told to, then sets it right and writes it down', async () => {
    const lab = await open(30, 'node-2', 'node-3');
    const node = lab.node(1);
    await lab.start('c-1', { HOLDFAST_CONSISTENCY_REPAIR: '0' });
    await until(async () => (await lab.check()).consistent, 'all match');
    const right = valueAt(node, 'k3');
    misapply(node, 'k3', 'wrong');
    misapply(node, 'k4', null);
    misapply(node, 'x', 'extra', 7);
    const dry = await lab.check();
    expect(dry.nodes).toMatchObject([
      { nodeId: 'node-1', result: 'match' },
      { nodeId: 'node-2', result: 'mismatch', reason: 'root' },
      { nodeId: 'node-3', result: 'match' },
    ]);
    expect(dry.found[0]?.differences.map(asText).sort()).toEqual(['k3 mismatch', 'k4 missing', 'x extra']);
    expect(dry.repairs).toEqual([]);
    expect(valueAt(node, 'k3')).toBe('wrong');
    const open1 = await lab.report();
    expect(open1.open).toMatchObject([{ nodeId: 'node-2' }]);

    const repaired = await lab.check(true);
    expect(repaired.repairs.map(({ outcome }) => outcome)).toEqual(['repaired', 'repaired', 'repaired']);
    expect(valueAt(node, 'k3')).toBe(right);
    expect(valueAt(node, 'x')).toBeUndefined();
    expect(node.replica.digest).toEqual(lab.leader.replica.digest);
    await until(async () => (await lab.check()).consistent, 'all match again');
    const report = await lab.report();
    expect(report.open).toEqual([]);
    const k3 = report.repairs.find(({ difference }) => difference?.key === 'k3');
    expect(k3).toMatchObject({ place: 'node-2', outcome: 'repaired', why: 'check' });
    expect(k3?.difference?.found?.checksum).toBe(checksumOf(Buffer.from('wrong')));
    expect(k3?.difference?.expected?.checksum).toBe(checksumOf(Buffer.from(right ?? '')));
    await until(() => lab.repaired.length === 3, 'the repairs are told');
    expect(lab.alerts.filter(({ name }) => name === 'consistency.mismatch')).toHaveLength(1);
    // A node that does not answer in time on a busy machine is unknown for one check.
    const told = () => lab.checked.filter(({ nodeId }) => nodeId === 'node-2').map(({ result }) => result);
    const judged = () => withoutRepeats(told().filter((result) => result !== 'unknown')).join();
    await until(() => judged() === 'match,mismatch,match', 'the judgements are told');
    expect(withoutRepeats(told()), 'only changes are told').toEqual(told());
  });

  it('sets a leader right too, and it goes on leading', async () => {
    const lab = await open(10, 'node-2');
    misapply(lab.leader, 'k3', 'wrong');
    await lab.start('c-1', { HOLDFAST_CONSISTENCY_REPAIR: '0' });
    const { found } = await lab.check(true);
    expect(found).toMatchObject([{ nodeId: 'node-1' }]);
    expect(valueAt(lab.leader, 'k3')).toBe('value 3');
    await lab.leader.engine.publisher.submit(write([put('after', 'after')]));
    await lab.level();
    expect((await lab.check()).consistent).toBe(true);
  });

  it('says of a node that does not answer that it is unknown', async () => {
    const lab = await open(5, 'node-2', 'node-3');
    await lab.start('c-1');
    await lab.node(2).stop();
    const reply = await lab.check();
    expect(reply.consistent).toBe(false);
    expect(reply.nodes[2]).toMatchObject({ nodeId: 'node-3', result: 'unknown', reason: 'unreachable' });
  });

  it('has the whole state of a node loaded anew when too much is wrong, and tells an operator', async () => {
    const lab = await open(200, 'node-2');
    const node = lab.node(1);
    for (let i = 0; i < 60; i++) misapply(node, `k${i}`, 'wrong');
    await lab.start('c-1', { HOLDFAST_CONSISTENCY_REPAIR: '0', HOLDFAST_MAX_INCONSISTENCIES: '50' });
    const { repairs } = await lab.check(true);
    expect(repairs).toMatchObject([
      { place: 'node-2', difference: null, outcome: 'reloaded', why: 'too-many' },
    ]);
    await lab.level();
    expect((await lab.check()).consistent).toBe(true);
    await until(() => lab.alerts.some(({ name }) => name === 'consistency.resync'), 'an alert');
  });

  it('does not repair the same key again and again: within the hour it replaces the state', async () => {
    const lab = await open(20, 'node-2');
    await lab.start('c-1', { HOLDFAST_CONSISTENCY_REPAIR: '0' });
    misapply(lab.node(1), 'k1', 'wrong');
    expect((await lab.check(true)).repairs).toMatchObject([{ outcome: 'repaired' }]);
    await until(async () => (await lab.report()).repairs.length === 1, 'it is written down');
    misapply(lab.node(1), 'k1', 'wrong again');
    expect((await lab.check(true)).repairs).toMatchObject([{ outcome: 'reloaded', why: 'again' }]);
  });
});

describe('the state in the database', () => {
  it('shows what is wrong with nodes that are all wrong alike', async () => {
    const lab = await open(30, 'node-2', 'node-3');
    await lab.start('c-1', { HOLDFAST_CONSISTENCY_REPAIR: '0' });
    await until(async () => (await lab.check()).consistent, 'all match');
    const right = valueAt(lab.leader, 'k3');
    for (const node of lab.nodes) {
      misapply(node, 'k3', 'wrong');
      misapply(node, 'k4', null);
      misapply(node, 'x', 'extra', 7);
    }
    let found: ConsistencyCheckReply['found'] = [];
    await until(async () => {
      found = (await lab.check()).found;
      return found.length === 3;
    }, 'it is found');
    for (const { differences } of found)
      expect(differences.map(asText).sort()).toEqual(['k3 mismatch', 'k4 missing', 'x extra']);
    // Not compared with the database again yet, and yet nobody matches because the others are as wrong.
    expect((await lab.check()).nodes.map(({ result }) => result)).toEqual([
      'mismatch',
      'mismatch',
      'mismatch',
    ]);
    const { repairs } = await lab.check(true);
    expect(repairs.map(({ outcome }) => outcome)).toEqual(new Array(9).fill('repaired'));
    for (const node of lab.nodes) {
      expect(valueAt(node, 'k3')).toBe(right);
      expect(valueAt(node, 'x')).toBeUndefined();
    }
    await until(async () => (await lab.check()).consistent, 'all match again');
    await until(async () => {
      await lab.check();
      return (await lab.report()).truth?.match.length === 3;
    }, 'the database says so too');
  });

  it('speaks for a node that has nobody else to be compared with', async () => {
    const lab = await open(10);
    const { port } = await lab.start('c-1', { HOLDFAST_TRUTH_INTERVAL_MS: '1000' });
    await until(async () => (await lab.check()).consistent, 'it matches');
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    expect(metrics).toMatch(/^holdfast_consistency_truth_version\{.*\} 10$/m);
    expect(metrics).toMatch(/^holdfast_consistency_truth_age_seconds\{.*\} \d/m);
    expect((await lab.report()).truth).toMatchObject({ entries: 10, match: ['node-1'], suspect: [] });
    misapply(lab.leader, 'k1', 'wrong');
    await until(() => lab.repaired.length === 1, 'it is repaired', 20_000);
    expect(valueAt(lab.leader, 'k1')).toBe('value 1');
    await until(async () => (await lab.check()).consistent, 'it matches again');
  });

  it('is not believed against the log: nodes are not made as wrong as it is', async () => {
    const lab = await open(10, 'node-2');
    await lab.start('c-1');
    const sql = lab.engines.storage.admin;
    await sql.query(`
      update config.entries set value = 'wrong', checksum = sha256('wrong') where key = 'k1';
      delete from config.entries where key = 'k2';
      insert into config.entries select namespace, 'x', value, content_type, checksum, version, created_at
        from config.entries where key = 'k3'`);
    const { repairs, consistent } = await lab.check(true);
    expect([repairs, consistent]).toEqual([[], true]);
    expect((await lab.report()).truth).toMatchObject({ match: [], suspect: ['node-1', 'node-2'] });
    for (const node of lab.nodes) {
      expect([valueAt(node, 'k1'), valueAt(node, 'k2')]).toEqual(['value 1', 'value 2']);
      expect(valueAt(node, 'x')).toBeUndefined();
    }
    expect(lab.repaired).toEqual([]);
  });
});

describe('regular rounds', () => {
  it('find and repair within 10 s what was applied wrongly', async () => {
    const lab = await open(20, 'node-2', 'node-3');
    await lab.start('c-1');
    await until(() => lab.checked.length === 3, 'a first round');
    misapply(lab.node(2), 'k1', 'wrong');
    const begunMs = performance.now();
    await until(() => lab.repaired.length === 1, 'it is repaired', 10_000);
    expect(performance.now() - begunMs).toBeLessThan(10_000);
    expect(lab.repaired[0]).toMatchObject({
      place: 'node-3',
      outcome: 'repaired',
      difference: { key: 'k1' },
    });
    expect(valueAt(lab.node(2), 'k1')).toBe('value 1');
  });

  it('find and repair within 60 s bytes that were altered in memory, and the node counts as sound again', async () => {
    const lab = await open(20, 'node-2');
    await lab.start('c-1');
    flipByte(lab.node(1), 'k2');
    await until(() => lab.repaired.length === 1, 'it is repaired', 70_000);
    expect(lab.repaired[0]).toMatchObject({ place: 'node-2', difference: { key: 'k2', class: 'mismatch' } });
    expect(valueAt(lab.node(1), 'k2')).toBe('value 2');
    expect(lab.node(1).engine.integrity.scrubber.damagedBuckets).toEqual([]);
  }, 90_000);

  it('are shared among instances, and every node is somebody’s', async () => {
    const lab = await open(5, 'node-2', 'node-3', 'node-4');
    await lab.start('c-1');
    await lab.start('c-2');
    await until(
      async () => {
        const { nodes } = await lab.report();
        const observers = new Set(nodes.map(({ observer }) => observer));
        return nodes.length === 4 && observers.size === 2 && nodes.every(({ result }) => result === 'match');
      },
      'both have a share',
      20_000,
    );
  });
});

describe('the door of a node for repairs', () => {
  const repair = async (node: LabNode, request: RepairRequest, key = CLUSTER_KEY) => {
    const headers = { 'holdfast-cluster-key': key, 'content-type': 'application/json' };
    const body = JSON.stringify(request);
    return fetch(`${node.address}/internal/repair`, { method: 'POST', headers, body });
  };

  it('leaves alone what was changed since, and refuses what it cannot judge', async () => {
    const lab = await open(5, 'node-2');
    const node = lab.node(1);
    const { version, chain } = node.replica;
    const old = node.replica.get('app', 'k1');
    if (old === undefined) throw new Error('no k1');
    const { value, ...rest } = old;
    const puts = [{ ...rest, value: value.toString() }];
    await lab.leader.engine.publisher.submit(write([put('k1', 'newer')]));
    await lab.leader.engine.publisher.submit(write([{ op: 'delete', namespace: 'app', key: 'k2' }]));
    await lab.level();
    const k2 = { ...rest, key: 'k2', value: value.toString() };
    const answer = await repair(node, { version, chain, puts: [...puts, k2], deletes: [] });
    const { keys } = RepairReply.parse(await answer.json());
    expect(keys.map(({ outcome }) => outcome)).toEqual(['newer', 'newer']);
    expect(valueAt(node, 'k1')).toBe('newer');
    expect(valueAt(node, 'k2')).toBeUndefined();

    const nothing = { puts: [], deletes: [] };
    expect((await repair(node, { version: 1e6, chain, ...nothing })).status).toBe(504);
    expect((await repair(node, { version, chain: 'f'.repeat(64), ...nothing })).status).toBe(410);
    const wrong = [{ ...rest, value: 'not of its checksum' }];
    expect((await repair(node, { version, chain, puts: wrong, deletes: [] })).status).toBe(400);
    expect((await repair(node, { version, chain, ...nothing }, 'no key')).status).toBe(403);
    expect(bucketOf('app', 'k1')).toBeGreaterThanOrEqual(0);
  });
});

function withoutRepeats<T>(list: readonly T[]): T[] {
  return list.filter((item, i) => item !== list[i - 1]);
}
