import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PrimaryPool } from '#libs/postgres';
import { after, batchOf, fenceAt, kept, type LeaderLab, lead, openMigratedLab, put } from './storage-lab.js';

let lab: LeaderLab;

beforeAll(async () => {
  lab = await openMigratedLab();
});
afterAll(() => lab.close());

interface Claimed {
  term: number;
  version: number;
  chain: string;
}

/** As a failover instance does it, with its rights. Resolves with the row that it got, if any. */
async function claim(
  pool: PrimaryPool,
  seen: { term: number; leaderId: string | null },
  winner: string,
  highestTerm = seen.term,
): Promise<Claimed | undefined> {
  const { rows } = await pool.query<Claimed>({
    name: 'claim',
    text: 'select * from config.claim($1, $2, $3, $4, $5)',
    values: [seen.term, seen.leaderId, winner, 1, highestTerm],
  });
  return rows[0];
}

const failoverPool = () => lab.pool({ role: 'holdfast_failover', max: 1 });

describe('config.claim', () => {
  it('makes a first leader where there was none, once', async () => {
    const pool = failoverPool();
    const none = { term: 0, leaderId: null };
    expect(await claim(pool, none, 'node-1')).toMatchObject({ term: 1, version: 0, chain: '0'.repeat(64) });
    expect(await claim(pool, none, 'node-2')).toBeUndefined();
    expect(await lab.store.readHead()).toMatchObject({ leaderId: 'node-1', term: 1, incarnation: 1 });
  });

  it('takes a term above every one that was seen', async () => {
    const pool = failoverPool();
    const head = await lab.store.readHead();
    const claimed = await claim(pool, head, 'node-2', head.term + 40);
    expect(claimed?.term).toBe(head.term + 41);
  });

  it('finding 2: refuses a highest term more than 1,000 beyond the head, and changes nothing', async () => {
    const pool = failoverPool();
    const head = await lab.store.readHead();
    for (const absurd of [head.term + 1_001, Number.MAX_SAFE_INTEGER]) {
      await expect(claim(pool, head, 'node-9', absurd)).rejects.toMatchObject({ sqlState: '22003' });
    }
    expect(await lab.store.readHead()).toEqual(head);
    const claimed = await claim(pool, head, head.leaderId ?? '', head.term + 1_000);
    expect(claimed?.term).toBe(head.term + 1_001);
  });

  it('does nothing for another suspect or another term than head names', async () => {
    const pool = failoverPool();
    const head = await lab.store.readHead();
    expect(await claim(pool, { term: head.term, leaderId: 'node-9' }, 'node-9')).toBeUndefined();
    expect(await claim(pool, { term: head.term - 1, leaderId: head.leaderId }, 'node-9')).toBeUndefined();
    expect(await claim(pool, { term: head.term, leaderId: null }, 'node-9')).toBeUndefined();
    expect(await lab.store.readHead()).toEqual(head);
  });

  it('lets one of sixteen contenders win, round after round', async () => {
    const pools = Array.from({ length: 16 }, failoverPool);
    for (let round = 0; round < 100; round++) {
      const seen = await lab.store.readHead();
      const claims = await Promise.all(pools.map((pool, i) => claim(pool, seen, `node-${i}`)));
      const winners = claims.flatMap((claimed, i) => (claimed ? [`node-${i}`] : []));
      expect(winners).toHaveLength(1);
      expect(await lab.store.readHead()).toMatchObject({ term: seen.term + 1, leaderId: winners[0] });
    }
  });

  it('lets one of two claimants win in 10,000 rounds', { timeout: 120_000 }, async () => {
    const [one, two] = [failoverPool(), failoverPool()];
    const wins = { one: 0, two: 0, both: 0, none: 0 };
    let seen: { term: number; leaderId: string | null } = await lab.store.readHead();
    for (let round = 0; round < 10_000; round++) {
      const first = round % 2 === 0 ? one : two;
      const second = first === one ? two : one;
      const [a, b] = await Promise.all([claim(first, seen, 'node-a'), claim(second, seen, 'node-b')]);
      const winner = a ?? b;
      if (a && b) wins.both++;
      else if (!winner) wins.none++;
      else wins[(a ? first : second) === one ? 'one' : 'two']++;
      if (winner && winner.term !== seen.term + 1) throw new Error(`term ${winner.term} after ${seen.term}`);
      seen = { term: winner?.term ?? seen.term, leaderId: a ? 'node-a' : 'node-b' };
    }
    expect(wins).toMatchObject({ both: 0, none: 0 });
    // Both really contended: neither was always first.
    expect(Math.min(wins.one, wins.two)).toBeGreaterThan(0);
    expect(await lab.store.readHead()).toMatchObject(seen);
  });
});

describe('a deposed leader', () => {
  it('can change nothing', async () => {
    const old = await lead(lab, 'node-1');
    const fence = await lead(lab, 'node-2');
    expect(await lab.store.commit(old, batchOf(old, [{ operations: [put('a', 'old')] }]))).toBe('fenced');
    expect(await lab.store.confirmFence(old)).toBe(false);
    expect(await lab.store.bumpAttempt(old)).toBeUndefined();
    expect(fenceAt(await lab.store.readHead())).toEqual(fence);
    // Not even in a later term of its own: the incarnation and the term are those of the claim.
    const again = await lead(lab, 'node-1');
    expect(await lab.store.commit(old, batchOf(old, [{ operations: [put('a', 'old')] }]))).toBe('fenced');
    expect(await lab.store.commit(again, batchOf(again, [{ operations: [put('a', 'new')] }]))).not.toBe(
      'fenced',
    );
  });

  it('changes nothing with a batch that was waiting while it was deposed', async () => {
    const old = await lead(lab, 'node-1');
    const claimant = await lab.client('holdfast_failover');
    await claimant.query('begin');
    await claimant.query('select * from config.claim($1, $2, $3, 1, $1)', [old.term, old.leaderId, 'node-2']);
    const waiting = lab.store.commit(
      old,
      batchOf(old, [{ operations: [put('waited', 'x')], requestId: 'waited' }]),
    );
    await untilSomebodyWaits();
    await claimant.query('commit');
    expect(await waiting).toBe('fenced');
    expect(await lab.store.readHead()).toMatchObject({ leaderId: 'node-2', version: old.version });
    expect((await lab.store.lookUpRequests(['waited'])).size).toBe(0);
  });

  it('has every batch counted that it committed before the claim', async () => {
    const old = await lead(lab, 'node-1');
    const leader = await lab.client('holdfast_node');
    // A batch that has locked head and is not committed yet: the claim must wait for it and see its version.
    await leader.query('begin');
    await leader.query('update config.head set version = version + 1 where id = 1 and term = $1', [old.term]);
    const claiming = claim(failoverPool(), old, 'node-2');
    await untilSomebodyWaits();
    await leader.query('commit');
    expect(await claiming).toMatchObject({ term: old.term + 1, version: old.version + 1 });
    await lab.admin.query('update config.head set version = version - 1');
  });

  it('is told apart from a leader by every writer, at any interleaving', async () => {
    const committed: number[] = [];
    for (let round = 0; round < 200; round++) {
      const old = await lead(lab, 'node-1');
      const batch = batchOf(old, [{ operations: [put('race', `${round}`)] }]);
      const [result, claimed] = await Promise.all([
        lab.store.commit(old, batch),
        claim(failoverPools[round % failoverPools.length] ?? failoverPool(), old, 'node-2'),
      ]);
      const head = await lab.store.readHead();
      const expected = result === 'fenced' ? old : after(old, batch);
      expect([head.version, head.chain]).toEqual([expected.version, expected.chain]);
      expect(claimed?.version).toBe(expected.version);
      if (result !== 'fenced') committed.push(expected.version);
    }
    const changes = kept(await lab.store.log.changesAfter((committed[0] ?? 1) - 1, 1_000, 10_000_000));
    expect(changes.map((change) => change.version)).toEqual(committed);
  });
});

const failoverPools: PrimaryPool[] = [];
beforeAll(() => {
  failoverPools.push(failoverPool(), failoverPool());
});

async function untilSomebodyWaits(): Promise<void> {
  await expect
    .poll(async () => {
      const { rows } = await lab.admin.query('select count(*)::int as n from pg_locks where not granted');
      return rows[0].n;
    })
    .toBeGreaterThan(0);
}
