import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chainAfter, Replica } from '#libs/replica';
import { batchOf, fenceAt, kept, put as putOperation } from '../storage/storage-lab.js';
import { type EngineLab, type LabNode, openEngineLab, put, until, write } from './engine-lab.js';

/*
 * How configurations were lost or stale in other systems, each under the number of its report, against the real thing
 * here. Two more (a lost notification, jumping clocks) are scenarios of the simulation.
 */
let lab: EngineLab;
let leader: LabNode;
let follower: LabNode;
beforeAll(async () => {
  lab = await openEngineLab();
  leader = await lab.node('n1');
  follower = await lab.node('n2');
  await lab.elect(leader);
});
afterAll(() => lab.close());

const publish = (key: string, value: string) => leader.engine.publisher.submit(write([put(key, value)]));

describe('apollo#3806, apollo#4972: a release in a long transaction', () => {
  // Apollo's clients scan for ids above the last one seen. An id is given out when a transaction begins to write and
  // is seen when it ends: one that took longer than its successor was skipped, for ever after ten scans.
  it('is skipped by a reader that goes by a sequence', async () => {
    const { storage } = lab;
    const [slow, quick, reader] = [await storage.client(), await storage.client(), await storage.client()];
    await quick.query('create table public.releases (id bigserial primary key, what text)');
    await slow.query('begin');
    await slow.query("insert into public.releases (what) values ('slow')");
    await quick.query("insert into public.releases (what) values ('quick')");
    const { rows: first } = await reader.query('select id from public.releases where id > 0 order by id');
    const cursor = first.at(-1)?.id;
    await slow.query('commit');
    const { rows: later } = await reader.query('select what from public.releases where id > $1', [cursor]);
    expect(later).toEqual([]); // the slow release is there, and is never read
  });

  it('is waited for here: the next version is not given out before, and none is missing', async () => {
    const { storage } = lab;
    const slow = await storage.client();
    const from = leader.replica.version;
    await slow.query('begin');
    await slow.query('update config.head set attempt = attempt where id = 1');
    const waiting = publish('long', 'behind the long transaction');
    const seen = async () =>
      kept(await storage.store.log.changesAfter(from, 100, 1_000_000)).map(({ version }) => version);
    await until(async () => {
      const { rows } = await storage.admin.query(
        "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%config.head%'",
      );
      return rows.length > 0;
    }, 'the publish waits for the row');
    expect(await seen()).toEqual([]);
    await slow.query('rollback');
    const { version } = await waiting;
    expect(version).toBe(from + 1);
    expect(await seen()).toEqual([version]);
    await until(() => follower.replica.version === version, 'the follower has it');
  });
});

describe('nacos#12879, nacos#12464: a newer configuration with an older time', () => {
  // Nacos' nodes compare the times of two changes, taken from the clocks of whoever made them: the newer change of a
  // machine whose clock was behind was refused as old, for hours.
  it('is applied: versions alone decide', () => {
    const replica = new Replica();
    const at = (version: number, createdAt: string) => {
      const content = {
        version,
        term: 1,
        kind: 'change' as const,
        author: null,
        comment: null,
        operations: [putOperation('k', `value ${version}`)],
      };
      return { ...content, chain: chainAfter(replica.chain, content), createdAt };
    };
    expect(replica.apply(at(1, '2026-06-01T12:00:00.000Z'))).toBe('applied');
    expect(replica.apply(at(2, '2026-06-01T09:00:00.000Z'))).toBe('applied');
    expect(replica.get('app', 'k')?.value.toString()).toBe('value 2');
  });
});

describe('nacos#7780: a full dump that races a publish', () => {
  // Nacos' dump of everything read a value, a publish changed it (a to b and back to a), and the dump then wrote what
  // it had read over what was newer.
  it('never takes a node back', async () => {
    let highest = 0;
    let wentBack = false;
    const look = () => {
      const { version } = follower.replica;
      wentBack ||= version < highest;
      highest = Math.max(highest, version);
    };
    const stops = [follower.engine.host.onApplied(look), follower.engine.host.onReset(look)];
    for (let round = 0; round < 15; round++) {
      const dump = follower.engine.replication.resynchronise('compacted');
      for (const value of ['a', 'b', 'a']) await publish('raced', `${value} ${round}`);
      await dump;
    }
    await until(() => follower.replica.version === leader.replica.version, 'the follower is level');
    for (const stop of stops) stop();
    expect(wentBack).toBe(false);
    expect(follower.replica.chain).toBe(leader.replica.chain);
    expect(follower.replica.get('app', 'raced')).toEqual(leader.replica.get('app', 'raced'));
  });
});

describe('nacos#4906: a crash between the commit and the notification', () => {
  // Nacos wrote to its database, then told its nodes by an event in memory: a process that died in between left all
  // others stale until the next full dump, hours later.
  it('delays the others by a second: they read the head themselves', async () => {
    const { storage } = lab;
    const head = await storage.store.readHead();
    // A leader that lives for one commit, and tells nobody.
    await storage.admin.query('select * from config.claim($1, $2, $3, $4, $1)', [
      head.term,
      head.leaderId,
      'n9',
      1,
    ]);
    const fence = fenceAt(await storage.store.readHead());
    const content = {
      version: fence.version + 1,
      term: fence.term,
      kind: 'change' as const,
      author: null,
      comment: null,
      operations: [putOperation('untold', 'v')],
    };
    const batch = batchOf(fence, [{ ...content, chain: chainAfter(fence.chain, content) }]);
    const committed = await storage.store.commit(fence, batch);
    expect(committed).not.toBe('fenced');
    for (const node of [leader, follower]) {
      await until(() => node.replica.get('app', 'untold') !== undefined, `${node.id} has it`);
    }
    expect(leader.engine.publisher.isLeading).toBe(false);
  });
});
