import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Problem } from '#libs/contracts';
import { kept } from '../storage/storage-lab.js';
import {
  type EngineLab,
  type LabNode,
  loggedVersions,
  openEngineLab,
  put,
  until,
  write,
} from './engine-lab.js';

let lab: EngineLab;
let leader: LabNode;

beforeAll(async () => {
  lab = await openEngineLab();
  leader = await lab.node('node-1');
  await lab.elect(leader);
});
afterEach(async () => {
  if (!leader.engine.publisher.isLeading) await lab.elect(leader);
});
afterAll(() => lab.close());

const submit = (...operations: Parameters<typeof write>[0]) =>
  leader.engine.publisher.submit(write(operations));

async function problemOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof Problem ? error.code : `no problem: ${String(error)}`;
}

describe('publishing', () => {
  it('commits to the database, to memory, and answers', async () => {
    const outcome = await submit(put('a', 'one'));
    expect(outcome.created).toEqual([true]);
    expect(leader.replica.get('app', 'a')?.value.toString()).toBe('one');
    const stored = kept(await lab.storage.store.log.valueAt('app', 'a', outcome.version));
    expect(stored?.value.toString()).toBe('one');
    const head = await lab.storage.store.readHead();
    expect([head.version, head.chain]).toEqual([leader.replica.version, leader.replica.chain]);
  });

  it('gives dense versions to concurrent writes', async () => {
    const before = leader.replica.version;
    const outcomes = await Promise.all(Array.from({ length: 500 }, (_, i) => submit(put(`k${i}`, `v${i}`))));
    const versions = outcomes.map(({ version }) => version).sort((a, b) => a - b);
    expect(versions).toEqual(Array.from({ length: 500 }, (_, i) => before + 1 + i));
    const logged = await loggedVersions(lab);
    expect(logged).toEqual(Array.from({ length: logged.length }, (_, i) => i + 1));
  });

  it('lets one of 1,000 racing creations of a key succeed', async () => {
    const create = () => submit({ ...put('race', 'mine'), condition: { type: 'absent' } });
    const results = await Promise.allSettled(Array.from({ length: 1_000 }, create));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    const refused = results.flatMap((r) => (r.status === 'rejected' ? [(r.reason as Problem).code] : []));
    expect(new Set(refused)).toEqual(new Set(['precondition-failed']));
  });

  it('gives a repeat the first answer, from memory and from the database', async () => {
    const request = () => write([put('once', 'v')], { idempotencyKey: 'the-key' });
    const first = await leader.engine.publisher.submit(request());
    const [again, joined] = await Promise.all([
      leader.engine.publisher.submit(request()),
      leader.engine.publisher.submit(request()),
    ]);
    expect(again).toEqual(first);
    expect(joined).toEqual(first);
    await lab.elect(leader); // a new term remembers nothing
    await until(() => leader.engine.host.term > first.term, 'the next term');
    await until(() => leader.engine.publisher.isLeading, 'leading again');
    expect(await leader.engine.publisher.submit(request())).toEqual(first);
    const other = write([put('once', 'w')], { idempotencyKey: 'the-key', requestHash: Buffer.alloc(32) });
    expect(await problemOf(leader.engine.publisher.submit(other))).toBe('idempotency-key-reused');
  });

  it('keyed request_hash: a row holds no digest of its request, and one of an earlier release still counts', async () => {
    const request = () => write([put('secret', 'hunter2')], { idempotencyKey: 'hashed' });
    const { requestHash } = request();
    const first = await leader.engine.publisher.submit(request());
    const { admin } = lab.storage;
    const stored = `select request_hash from config.changes where request_id = 'hashed'`;
    const { rows } = await admin.query<{ request_hash: Buffer }>(stored);
    expect(rows[0]?.request_hash).toHaveLength(33);
    expect(rows[0]?.request_hash.includes(requestHash ?? '')).toBe(false);
    await admin.query(`update config.changes set request_hash = $1 where request_id = 'hashed'`, [
      requestHash,
    ]);
    const { term } = leader.engine.host;
    await lab.elect(leader);
    await until(() => leader.engine.host.term > term && leader.engine.publisher.isLeading, 'leading again');
    expect(await leader.engine.publisher.submit(request())).toEqual(first);
    const other = write([put('secret', 'w')], { idempotencyKey: 'hashed', requestHash: Buffer.alloc(32) });
    expect(await problemOf(leader.engine.publisher.submit(other))).toBe('idempotency-key-reused');
  });

  it('fails one bad write alone', async () => {
    // No text check stops what Postgres can't hold as a content type: only the database finds it.
    const bad = { ...put('bad', 'v'), contentType: 'text/\0plain' } as ReturnType<typeof put>;
    const writes = Array.from({ length: 50 }, (_, i) => submit(i === 20 ? bad : put(`good-${i}`, 'v')));
    const results = await Promise.allSettled(writes);
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(49);
    expect(await problemOf(writes[20] as Promise<unknown>)).toBe('invalid-value');
  });

  it('resolves a commit whose connection was ended, whether it took effect or not', async () => {
    let killing = true;
    const killer = async () => {
      for (let ended = 0; ended < 30; ) {
        const { rowCount } = await lab.storage.admin.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where usename = 'holdfast_node' and query like '%config.changes%' and state = 'active'`,
        );
        ended += rowCount ?? 0;
        if (rowCount) await wait(20);
      }
      killing = false;
    };
    const answered = new Map<string, number>();
    const writer = async (name: number) => {
      for (let i = 0; killing; i++) {
        const key = `killed-${name}-${i}`;
        answered.set(key, (await submit(put(key, key))).version);
      }
    };
    await Promise.all([killer(), ...Array.from({ length: 16 }, (_, name) => writer(name))]);
    const { rows } = await lab.storage.admin.query<{ key: string; version: string }>(
      `select key, version from config.change_ops where key like 'killed-%'`,
    );
    expect(rows).toHaveLength(answered.size);
    for (const { key, version } of rows) expect(answered.get(key)).toBe(Number(version));
    expect((await submit(put('after', 'v'))).version).toBe(leader.replica.version);
  });

  it('refuses a write that reaches a node which does not lead', async () => {
    const follower = await lab.node('node-2');
    await until(() => follower.replica.version === leader.replica.version, 'the follower is level');
    const error = await follower.engine.publisher.submit(write([put('a', 'v')])).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'not-leader', members: { leader: leader.address } });
    await follower.stop();
  });

  it('says so when another took over, and follows it', async () => {
    const other = await lab.node('node-3');
    await lab.elect(other);
    expect(await problemOf(submit(put('late', 'v')))).toBe('not-leader');
    expect(leader.engine.leadership.role).toBe('follower');
    const outcome = await other.engine.publisher.submit(write([put('b', 'of the new leader')]));
    await until(() => leader.replica.version === outcome.version, 'the old leader follows');
    expect(leader.engine.leadership.leader?.id).toBe('node-3');
    await lab.elect(leader);
    await other.stop();
  });

  it('pauses for a handover, and goes on when nobody took over', async () => {
    const response = await fetch(`${leader.address}/internal/handover`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'holdfast-cluster-key': 'the-secret-of-this-test' },
      body: JSON.stringify({ term: leader.engine.host.term, pauseMs: 300 }),
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      version: leader.replica.version,
      chain: leader.replica.chain,
    });
    expect(await problemOf(submit(put('paused', 'v')))).toBe('no-leader');
    await until(async () => (await problemOf(submit(put('resumed', 'v')))) !== 'no-leader', 'writes again');
  });
});
