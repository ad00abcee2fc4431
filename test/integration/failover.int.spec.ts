import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LeaderElected, NodeVerdict, ReplyPayload } from '#libs/contracts';
import { type NatsServer, startNats } from '#libs/embedded-servers';
import { type RunningService, startService } from '#libs/service';
import { FaultProxy, signing } from '#libs/testing';
import { failoverApp } from '../../apps/failover/src/failover.app.js';
import { loadFailoverSettings } from '../../apps/failover/src/failover.config.js';
import { FailoverStore } from '../../apps/failover/src/failover.store.js';
import { HeadLocked, HeadStore } from '../../apps/failover/src/head/head.store.js';
import { untilHeard, untilWatched, Voter } from './failover-voter.js';
import { openMigratedLab, type StorageLab } from './storage/storage-lab.js';

let home: string;
let nats: NatsServer;
let lab: StorageLab;
let admin: Client;
let bare: NatsConnection;
let voters: Voter[] = [];
let instances = 0;
const closers: (() => Promise<unknown>)[] = [];
const elected: (LeaderElected & { atMs: number })[] = [];
const verdicts: NodeVerdict[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-failover-'));
  [nats, lab] = await Promise.all([startNats({ dir: join(home, 'nats') }), openMigratedLab()]);
  admin = await lab.client();
});
beforeEach(async () => {
  await admin.query('update config.head set leader_id = null');
  await admin.query('drop schema failover cascade; create schema failover authorization holdfast_failover');
  elected.length = 0;
  verdicts.length = 0;
  bare = signing(
    await connect({ port: nats.port, user: nats.user, pass: nats.password, maxReconnectAttempts: -1 }),
    'a-secret-of-the-cluster',
  );
  closers.push(() => bare.close());
  bare.subscribe('leader.elected', {
    callback: (_error, message) =>
      void elected.push({ ...message.json<LeaderElected>(), atMs: performance.now() }),
  });
  bare.subscribe('node.failed', {
    callback: (_error, message) => void verdicts.push(message.json<NodeVerdict>()),
  });
  bare.subscribe('node.recovered', {
    callback: (_error, message) => void verdicts.push(message.json<NodeVerdict>()),
  });
  await bare.flush();
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  instances = 0;
});
afterAll(async () => {
  await Promise.all([nats.stop(), lab.close()]);
  await rm(home, { recursive: true, force: true });
});

async function startVoters(count = 3, withBus = true): Promise<Voter[]> {
  voters = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      new Voter({ id: `node-${i + 1}`, nats: withBus ? nats : undefined }).start(),
    ),
  );
  closers.push(() => Promise.all(voters.map((voter) => voter.crash())));
  return voters;
}

async function startFailover(
  instanceId: string,
  change: Record<string, string> = {},
): Promise<RunningService> {
  const env = {
    HOLDFAST_INSTANCE_ID: instanceId,
    HOLDFAST_PORT: '0',
    HOLDFAST_POSTGRES_HOSTS: `127.0.0.1:${lab.server.port}`,
    HOLDFAST_POSTGRES_DATABASE: lab.server.database,
    HOLDFAST_POSTGRES_PASSWORD: 'failover-pass',
    HOLDFAST_NATS_SERVERS: `127.0.0.1:${nats.port}`,
    HOLDFAST_NATS_USER: nats.user,
    HOLDFAST_NATS_PASSWORD: nats.password,
    HOLDFAST_CLUSTER_KEY: 'a-secret-of-the-cluster',
    HOLDFAST_LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'error',
    HOLDFAST_PRESET: 'local',
    ...change,
  };
  const settings = loadFailoverSettings({ argv: [], env, readFile: () => '' });
  const service = await startService(failoverApp(settings));
  instances++;
  closers.push(() => service.stop());
  return service;
}

async function head(): Promise<{ term: number; leader_id: string | null; incarnation: string }> {
  const { rows } = await admin.query('select term::int, leader_id, incarnation from config.head');
  return rows[0];
}

async function until(what: string, done: () => Promise<boolean> | boolean, withinMs = 10_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    if (await done()) return;
    if (performance.now() > deadline) throw new Error(`${what}: it did not come about in time`);
    await wait(2);
  }
}

/** Until one voter leads, and every failover instance watches all of them and has heard from them. */
async function settled(): Promise<Voter> {
  await until('a leader', async () => (await head()).leader_id !== null);
  const { leader_id: leaderId } = await head();
  const found = voters.find((voter) => voter.id === leaderId);
  if (!found) throw new Error('the leader is not one of the voters');
  found.leads = true;
  await untilWatched(voters, instances, until);
  return found;
}

/** Settled for long enough that silence counts as evidence. */
async function steady(): Promise<Voter> {
  const leader = await settled();
  await untilHeard(voters, until);
  return leader;
}

const followers = () => voters.filter((voter) => !voter.leads);

async function elections(): Promise<ReplyPayload<'failover.elections'>['elections']> {
  const reply = await bare.request('failover.elections', '{}', { timeout: 2_000 });
  return reply.json<ReplyPayload<'failover.elections'>>().elections;
}

describe('the first election', () => {
  it('chooses as soon as voters answer, and is recorded', async () => {
    await startVoters();
    voters[1]?.crash();
    await startFailover('failover-1');
    await until('an election', () => elected.length > 0);
    // Of those that live, the one that answered in time: on a busy machine that need not be the first by name.
    const leaderId = expect.stringMatching(/^node-[13]$/);
    expect(elected[0]).toMatchObject({ reason: 'first', leaderId, previousLeaderId: null });
    expect((await head()).leader_id).toBe(elected[0]?.leaderId);
    const recorded = { reason: 'first', leaderId: elected[0]?.leaderId, firstWriteAt: null };
    expect(await elections()).toMatchObject([recorded]);
  });
});

describe('a leader that crashes', () => {
  it('is replaced by one of two instances', async () => {
    await startVoters();
    await startFailover('failover-1');
    await startFailover('failover-2');
    const leader = await settled();
    const { term } = await head();
    await leader.crash();
    await until('a new leader', () => elected.at(-1)?.previousLeaderId === leader.id);
    expect(elected.at(-1)).toMatchObject({ reason: 'process-down', term: term + 1 });
    await wait(1_000);
    expect((await head()).term).toBe(term + 1);
    expect(
      verdicts.filter((verdict) => verdict.nodeId === leader.id && verdict.verdict === 'failed'),
    ).toHaveLength(1);
  });

  it('and comes back at once as a new incarnation never resumes its term', async () => {
    await startVoters();
    await startFailover('failover-1');
    const leader = await settled();
    const { term, incarnation } = await head();
    await leader.crash();
    await leader.start();
    await until('another term', async () => (await head()).term > term);
    const after = await head();
    expect([after.leader_id, after.incarnation]).not.toEqual([leader.id, incarnation]);
  });

  it('is found out without the bus, and without the registry', async () => {
    await startVoters(3, false);
    const seeds = voters.map((voter) => `${voter.id}=${voter.address}`).join(',');
    const change = { HOLDFAST_NATS_SERVERS: '127.0.0.1:1', HOLDFAST_NODES: seeds };
    await startFailover('failover-1', change);
    await startFailover('failover-2', change);
    const leader = await settled();
    const { term } = await head();
    await leader.crash();
    await until('a new leader', async () => (await head()).term > term);
  });
});

describe('a leader that freezes', () => {
  it('is replaced, and welcomed back as a follower', async () => {
    await startVoters();
    await startFailover('failover-1');
    await startFailover('failover-2');
    const leader = await steady();
    const frozenAtMs = performance.now();
    leader.freeze();
    await until('a new leader', () => elected.at(-1)?.previousLeaderId === leader.id);
    const tookMs = performance.now() - frozenAtMs;
    expect(tookMs).toBeGreaterThan(950);
    expect(elected.at(-1)?.reason).toBe('unresponsive');
    leader.thaw();
    await until('its verdict is withdrawn', () =>
      verdicts.some(({ nodeId, verdict }) => nodeId === leader.id && verdict === 'clear'),
    );
  });

  it('is not failed again by its old verdict, published once more', async () => {
    const store = new FailoverStore(lab.pool({ role: 'holdfast_failover' }));
    await store.migrate();
    const given = { nodeId: 'node-9', incarnation: 5, judgedBy: 'w', confirmedBy: [], evidence: {} };
    const at = '2026-01-01T00:00:00.000Z';
    const failed = { ...given, verdict: 'failed', reason: 'unresponsive', at } as const;
    const clear = { ...given, verdict: 'clear', reason: null, at } as const;
    const told = [await store.saveVerdict(failed), await store.saveVerdict(failed)];
    await wait(300);
    told.push(await store.saveVerdict(failed), await store.saveVerdict(clear));
    await wait(300);
    told.push(await store.saveVerdict(clear), await store.saveVerdict({ ...failed, incarnation: 4 }));
    expect(told.map((fact) => fact && [fact.id, (fact.payload as NodeVerdict).seq])).toEqual([
      ['node.failed/node-9/1', 1],
      undefined,
      ['node.failed/node-9/1', 1],
      ['node.recovered/node-9/2', 2],
      ['node.recovered/node-9/2', 2],
      undefined,
    ]);
  });

  it('for less than a second leads on', async () => {
    await startVoters();
    await startFailover('failover-1');
    const leader = await steady();
    const { term } = await head();
    leader.freeze();
    await wait(900);
    leader.thaw();
    await wait(1_500);
    expect((await head()).term).toBe(term);
    expect(verdicts).toEqual([]);
  });
});

describe('a leader that cannot commit', () => {
  it('is replaced although it lives', async () => {
    await startVoters();
    await startFailover('failover-1');
    const leader = await steady();
    await wait(1_500);
    leader.fenceConfirmedAgoMs = 2_500;
    await until('a new leader', () => elected.at(-1)?.previousLeaderId === leader.id);
    expect(elected.at(-1)?.reason).toBe('cannot-lead');
    expect(elected.at(-1)?.leaderId).not.toBe(leader.id);
  });

  it('because the database stalls for a second leads on', async () => {
    const proxy = await FaultProxy.start({ host: '127.0.0.1', port: lab.server.port });
    closers.push(() => proxy.close());
    await startVoters();
    const change = { HOLDFAST_POSTGRES_HOSTS: `127.0.0.1:${proxy.port}` };
    await startFailover('failover-1', change);
    await startFailover('failover-2', change);
    const leader = await steady();
    await wait(1_500);
    const { term } = await head();
    for (const stallMs of [1_200, 1_600]) {
      // The stall comes when the next confirmation is due.
      const confirmedAtMs = performance.now();
      const older = setInterval(() => {
        leader.fenceConfirmedAgoMs = Math.round(performance.now() - confirmedAtMs);
      }, 20);
      await wait(900);
      proxy.pause();
      await wait(stallMs);
      proxy.resume();
      await wait(50);
      clearInterval(older);
      leader.fenceConfirmedAgoMs = undefined;
      await wait(3_000);
    }
    expect((await head()).term).toBe(term);
    expect(verdicts).toEqual([]);
  });
});

describe('a leader that was dead before it was chosen', () => {
  it('is replaced all the same', async () => {
    await startVoters();
    await startFailover('failover-1');
    await startFailover('failover-2');
    const leader = await settled();
    const [dead] = followers();
    await dead?.crash();
    await until('a verdict on the follower', () => verdicts.some(({ nodeId }) => nodeId === dead?.id));
    await wait(300);
    const { term } = await head();
    await admin.query('update config.head set term = term + 1, leader_id = $1, incarnation = $2', [
      dead?.id,
      dead?.incarnation,
    ]);
    leader.leads = false;
    await until('another leader', async () => (await head()).term > term + 1);
    await until('news of it', () => elected.some((election) => election.term > term + 1));
    expect(elected.at(-1)).toMatchObject({ reason: 'process-down', previousLeaderId: dead?.id });
  });
});

describe('a leader that stops in good order', () => {
  it('is replaced when it says so, without being found out', async () => {
    await startVoters();
    await startFailover('failover-1');
    const leader = await settled();
    const { term } = await head();
    leader.eligible = false;
    const said = { nodeId: leader.id, term, reason: 'stopping', at: '' };
    bare.publish('leader.lost', JSON.stringify({ ...said, term: term - 1 }));
    await wait(300);
    expect((await head()).term).toBe(term);
    bare.publish('leader.lost', JSON.stringify(said));
    await until('a new leader', () => elected.at(-1)?.previousLeaderId === leader.id, 3_000);
    expect(elected.at(-1)?.reason).toBe('handover');
    expect(verdicts).toEqual([]);
  });
});

describe('one witness that is cut off', () => {
  it('deposes nobody, whatever its connections do', async () => {
    await startVoters();
    const proxies = await Promise.all(
      voters.map((voter) =>
        FaultProxy.start({ host: '127.0.0.1', port: Number(new URL(voter.address).port) }),
      ),
    );
    await startFailover('failover-1');
    const seeds = voters.map((voter, i) => `${voter.id}=http://127.0.0.1:${proxies[i]?.port}`).join(',');
    // It hears nobody on the bus, so it knows only the addresses that it was given.
    const deaf = { HOLDFAST_NATS_SERVERS: '127.0.0.1:1', HOLDFAST_NODES: seeds };
    await startFailover('failover-2', deaf);
    await steady();
    const { term } = await head();
    // Nobody listens there any more: for this witness all nodes have crashed.
    await Promise.all(proxies.map((proxy) => proxy.close()));
    await wait(4_000);
    expect((await head()).term).toBe(term);
    expect(verdicts.filter((verdict) => verdict.verdict === 'failed')).toEqual([]);
  });
});

describe('a planned handover', () => {
  it('pauses the leader, and makes another one', async () => {
    await startVoters();
    await startFailover('failover-1');
    await startFailover('failover-2');
    const leader = await settled();
    const [target] = followers();
    const reply = await bare.request('failover.handover', JSON.stringify({ to: target?.id }), {
      timeout: 5_000,
    });
    expect(reply.json()).toMatchObject({ leaderId: target?.id });
    expect(leader.pauses).toBe(1);
    expect((await head()).leader_id).toBe(target?.id);
    expect(elected.at(-1)?.reason).toBe('handover');
  });

  it('is refused before the leader pauses when the target is not fit', async () => {
    await startVoters();
    await startFailover('failover-1');
    const leader = await settled();
    const [behind, unable] = followers();
    if (behind) behind.version = -0;
    if (unable) unable.eligible = false;
    leader.version = 5;
    const ask = async (to: string | undefined) =>
      (await bare.request('failover.handover', JSON.stringify({ to }), { timeout: 5_000 })).json();
    expect(await ask('nobody')).toMatchObject({ code: 'node-not-found' });
    expect(await ask(unable?.id)).toMatchObject({ code: 'no-available-node' });
    expect(await ask(behind?.id)).toMatchObject({ code: 'no-available-node' });
    expect(leader.pauses).toBe(0);
    expect(await ask(leader.id)).toMatchObject({ leaderId: leader.id, durationMs: 0 });
  });
});

describe('a handover that cannot be', () => {
  const ask = async (to?: string) =>
    (await bare.request('failover.handover', JSON.stringify({ to }), { timeout: 5_000 })).json();

  it('is refused at once when every other voter is stopping or gone', async () => {
    await startVoters();
    await startFailover('failover-1');
    const leader = await settled();
    const [stopping, gone] = followers();
    if (stopping) Object.assign(stopping, { eligible: false, unfit: 'draining' });
    await gone?.crash();
    await wait(30);
    expect(await ask()).toMatchObject({ code: 'no-available-node' });
    expect(leader.pauses).toBe(0);
  });

  it('claims nothing when the pause is nearly over', async () => {
    await startVoters();
    await startFailover('failover-1');
    const leader = await settled();
    const { term } = await head();
    const [target] = followers();
    leader.drainMs = 1_300;
    const asking = ask(target?.id);
    await until('the pause', () => leader.pauses > 0);
    leader.version = 1;
    expect(await asking).toMatchObject({ code: 'no-available-node' });
    expect((await head()).term).toBe(term);
  });
});

describe('voters that refuse to answer on the bus', () => {
  it('are asked over HTTP, in an election and in a handover', async () => {
    await startVoters();
    for (const voter of voters) voter.refusesOnBus = true;
    await startFailover('failover-1');
    await settled();
    const [target] = followers();
    const reply = await bare.request('failover.handover', JSON.stringify({ to: target?.id }), {
      timeout: 5_000,
    });
    expect(reply.json()).toMatchObject({ leaderId: target?.id });
  });
});

describe('the claim', () => {
  const claimOf = (seenTerm: number, suspect: string | null, nodeId: string) => ({
    seenTerm,
    suspect,
    winner: { nodeId, incarnation: 1, address: 'http://127.0.0.1:1' },
    highestTerm: 0,
    reason: 'process-down' as const,
    evidence: {},
    electedBy: nodeId,
    detectMs: 0,
    electMs: 0,
  });

  it('is won by one of two that claim at the same moment, every time', async () => {
    await startFailover('failover-1').then((service) =>
      until('tables', async () => (await service.app.getUrl()) !== '' && (await tables()) > 0),
    );
    const stores = [1, 2].map(() => new HeadStore(lab.pool({ role: 'holdfast_failover' })));
    const rounds = Number(process.env.CLAIM_ROUNDS ?? 300);
    for (let round = 0; round < rounds; round++) {
      const seen = await head();
      const outcomes = await Promise.all(
        stores.map((store, i) => store.claim(claimOf(seen.term, seen.leader_id, `racer-${i}`))),
      );
      expect(outcomes.filter((outcome) => outcome !== undefined)).toHaveLength(1);
      expect((await head()).term).toBe(seen.term + 1);
    }
  });

  it('does not wait behind a frozen backend: it ends it', async () => {
    await startFailover('failover-1').then(() => until('tables', async () => (await tables()) > 0));
    const store = new HeadStore(lab.pool({ role: 'holdfast_failover' }));
    const frozen = await lab.client('holdfast_node');
    await frozen.query('begin');
    await frozen.query('update config.head set attempt = attempt + 1');
    const { term, leader_id } = await head();
    const begin = performance.now();
    await expect(store.claim(claimOf(term, leader_id, 'node-1'))).rejects.toBeInstanceOf(HeadLocked);
    expect(performance.now() - begin).toBeLessThan(600);
    expect(await store.claimFromHolders(claimOf(term, leader_id, 'node-1'))).toMatchObject({
      ...{ ended: 1, elected: { leaderId: 'node-1' } },
    });
  });

  it.each([
    ['an update', 'update config.head set attempt = attempt + 1'],
    [
      'a lock, as compaction and scrubbing take it',
      'select version from config.head where id = 1 for update',
    ],
  ])(
    'finding 12: it ends the backend that holds head by %s, and none that waits for it',
    async (_, holding) => {
      await startFailover('failover-1').then(() => until('tables', async () => (await tables()) > 0));
      const store = new HeadStore(lab.pool({ role: 'holdfast_failover' }));
      const [frozen, innocent] = [await lab.client('holdfast_node'), await lab.client('holdfast_node')];
      await frozen.query('begin');
      await frozen.query(holding);
      const waiting = innocent.query('update config.head set attempt = attempt + 1 where id = 1');
      await until('the innocent one waits', async () => {
        const { rows } = await admin.query('select cardinality(pg_blocking_pids($1)) as n', [
          Reflect.get(innocent, 'processID'),
        ]);
        return rows[0]?.n === 1;
      });
      const { term, leader_id } = await head();
      await expect(store.claim(claimOf(term, leader_id, 'node-1'))).rejects.toBeInstanceOf(HeadLocked);
      expect(await store.claimFromHolders(claimOf(term, leader_id, 'node-1'))).toMatchObject({
        ...{ ended: 1, elected: { leaderId: 'node-1' } },
      });
      expect((await waiting).rowCount).toBe(1);
      await expect(frozen.query('select 1')).rejects.toThrow();
    },
  );
});

async function tables(): Promise<number> {
  const { rows } = await admin.query(
    "select count(*)::int as n from pg_tables where schemaname = 'failover' and tablename = 'facts'",
  );
  return Number(rows[0]?.n);
}
