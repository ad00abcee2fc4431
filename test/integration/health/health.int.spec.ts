import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { HealthListReply, HealthStanding } from '#libs/contracts';
import { HealthStore } from '../../../apps/health/src/health.store.js';
import { HealthLab, until } from './health-lab.js';

let lab: HealthLab;

beforeAll(async () => {
  lab = await HealthLab.open();
});
beforeEach(() => lab.reset());
afterAll(() => lab.close());

const AFTER_ONE_INTERVAL_MS = 1_500;

describe('the checks of a node', () => {
  it('rise after two passes and fall after three failures', async () => {
    const node = await lab.node('node-1');
    await lab.health('health-1', [node]);
    await lab.untilTold('node-1', 'up null');
    await until('it is asked at its pace', () => node.probes.length >= 4);
    await node.crash();
    await lab.untilTold('node-1', 'down refused');
    const [change] = lab.changes.slice(-1);
    expect(change).toMatchObject({ incarnation: node.incarnation, observer: 'health-1' });
    expect(change?.evidence).toMatchObject({ consecutive: 3 });
    await node.start();
    await lab.untilTold('node-1', 'up null');
    expect(lab.told('node-1')).toEqual(['up null', 'down refused', 'up null']);
    expect(node.overlapping).toBe(1);
  });

  it('find a node that hangs, and never ask it twice at once', async () => {
    const node = await lab.node('node-1');
    await lab.health('health-1', [node]);
    await lab.untilTold('node-1', 'up null');
    node.mood = 'hung';
    await lab.untilTold('node-1', 'down timeout');
    expect(node.overlapping).toBe(1);
    node.mood = 'ready';
    await lab.untilTold('node-1', 'up null');
  });

  it.each([
    ['not-ready', 'not-ready'],
    ['error', 'bad-status'],
    ['garbled', 'garbled'],
    ['stranger', 'garbled'],
    ['cut', 'reset'],
  ] as const)('a node that is %s is down: %s', async (mood, reason) => {
    const node = await lab.node('node-1');
    await lab.health('health-1', [node]);
    await lab.untilTold('node-1', 'up null');
    node.mood = mood;
    await lab.untilTold('node-1', `down ${reason}`);
    if (mood === 'not-ready') expect(lab.changes.at(-1)?.evidence).toMatchObject({ failed: ['state'] });
  });

  it('have patience with a node that asks for it', async () => {
    const node = await lab.node('node-1');
    await lab.health('health-1', [node]);
    await lab.untilTold('node-1', 'up null');
    node.mood = 'busy';
    const before = node.probes.length;
    await until('it is asked on', () => node.probes.length >= before + 4);
    expect(lab.told('node-1')).toEqual(['up null']);
    expect((await lab.report('node-1')).recent[0]?.result).toBe('busy');
  });

  it('begin anew with a new incarnation, of which nothing is known', async () => {
    const node = await lab.node('node-1');
    await lab.health('health-1', [node]);
    await lab.untilTold('node-1', 'up null');
    node.incarnation++;
    await until('the new one', () => lab.changes.at(-1)?.incarnation === node.incarnation);
    expect(lab.told('node-1')).toEqual(['up null', 'up null']);
    const [first, second] = lab.changes;
    expect(second?.seq).toBeGreaterThan(first?.seq ?? 0);
  });
});

describe('what is told', () => {
  it('is a report with recent results, transitions and counters', async () => {
    const node = await lab.node('node-1');
    await lab.health('health-1', [node]);
    await lab.untilTold('node-1', 'up null');
    await node.crash();
    await lab.untilTold('node-1', 'down refused');
    const report = await lab.report('node-1');
    expect(report).toMatchObject({ state: 'down', reason: 'refused', observer: 'health-1' });
    expect(report.consecutive.outcome).toBe('fail');
    expect(report.consecutive.count).toBeGreaterThanOrEqual(3);
    expect(report.recent[0]?.result).toBe('refused');
    expect(report.recent.at(-1)?.result).toBe('ok');
    expect(report.transitions.map(({ from, to }) => `${from} ${to}`)).toEqual(['up down', 'unknown up']);
    expect(await lab.report('node-9')).toMatchObject({ code: 'node-not-found' });
    const list = (await lab.bare.request('health.list', '')).json<HealthListReply>();
    expect(list.nodes).toMatchObject([{ nodeId: 'node-1', health: 'down' }]);
  });

  it('is repeated with every sign of life while a node is down', async () => {
    const node = await lab.node('node-1');
    await lab.health('health-1', [node]);
    await lab.untilTold('node-1', 'up null');
    const standing: HealthStanding[] = [];
    const spy = lab.bare.subscribe('health.standing', {
      callback: (_error, message) => void standing.push(message.json<HealthStanding>()),
    });
    await until('a sign of life', () => standing.length >= 2);
    expect(standing[0]).toEqual({ instanceId: 'health-1', leaving: false, down: [] });
    node.mood = 'not-ready';
    await until('it names the node', () => standing.at(-1)?.down[0]?.nodeId === 'node-1');
    node.mood = 'ready';
    await until('it no longer does', () => standing.at(-1)?.down.length === 0);
    spy.unsubscribe();
  });

  it('is kept in the database: transitions, and one row of recent results per node', async () => {
    const node = await lab.node('node-1');
    const health = await lab.health('health-1', [node]);
    await lab.untilTold('node-1', 'up null');
    const row = async () => (await lab.admin.query('select * from health.nodes')).rows;
    await until('results are recorded', async () => (await row()).length === 1, 12_000);
    const [{ state, observer, recent }] = await row();
    expect({ state, observer }).toEqual({ state: 'up', observer: 'health-1' });
    expect(recent.length).toBeGreaterThan(2);
    expect(recent.length).toBeLessThanOrEqual(30);
    const { rows } = await lab.admin.query('select from_state, to_state from health.transitions');
    expect(rows).toEqual([{ from_state: 'unknown', to_state: 'up' }]);
    const facts = await lab.admin.query('select subject, published from health.facts');
    expect(facts.rows).toEqual([{ subject: 'health.changed', published: true }]);
    await health.stop();
    await lab.health('health-2', []);
    await until('another tells it from the rows', async () => (await lab.report('node-1')).state === 'up');
    expect((await lab.report('node-1')).observer).toBe('health-1');
  });
});

it('keeps a bounded number of transitions, and none for ever', async () => {
  await lab.health('health-1', []);
  const made = async () => (await lab.admin.query("select to_regclass('health.transitions') as t")).rows[0].t;
  await until('the tables are there', async () => (await made()) !== null);
  const insert = `insert into health.transitions (node_id, seq, incarnation, from_state, to_state, observer, at)
    select $1, n, 1, 'up', 'down', 'health-1', now() - $2::interval from generate_series(1, $3::int) as n`;
  await lab.admin.query(insert, ['node-1', '1 minute', 500]);
  await lab.admin.query(insert, ['node-2', '91 days', 5]);
  await new HealthStore(lab.storage.pool({ role: 'holdfast_health' })).prune();
  const { rows } = await lab.admin.query(
    'select node_id, count(*)::int as n, min(seq)::int as first from health.transitions group by node_id',
  );
  expect(rows).toEqual([{ node_id: 'node-1', n: 200, first: 301 }]);
});

describe('without its servers', () => {
  it('goes on without Postgres, and writes later what it could not', async () => {
    const node = await lab.node('node-1');
    const { server } = lab.storage;
    await lab.health('health-1', [node]);
    await lab.untilTold('node-1', 'up null');
    server.kill('SIGSTOP');
    try {
      node.mood = 'not-ready';
      await lab.untilTold('node-1', 'down not-ready');
      node.mood = 'ready';
      await lab.untilTold('node-1', 'up null');
      expect((await lab.report('node-1')).transitions).toHaveLength(3);
    } finally {
      server.kill('SIGCONT');
    }
    await until(
      'its rows are there',
      async () => {
        const { rows } = await lab.admin.query('select to_state from health.transitions order by seq');
        return rows.map(({ to_state }) => to_state).join() === 'up,down,up';
      },
      15_000,
    );
  });

  it('goes on without a Postgres from the start', async () => {
    const node = await lab.node('node-1');
    await lab.health('health-1', [node], { HOLDFAST_POSTGRES_HOSTS: '127.0.0.1:1' });
    await lab.untilTold('node-1', 'up null');
    await node.crash();
    await lab.untilTold('node-1', 'down refused');
  });

  it('goes on probing and recording without NATS, and tells when it is back', async () => {
    const node = await lab.node('node-1');
    await lab.health('health-1', [node]);
    await lab.untilTold('node-1', 'up null');
    lab.nats.kill('SIGSTOP');
    try {
      node.mood = 'not-ready';
      await until('it is recorded', async () => {
        const { rows } = await lab.admin.query(
          "select from health.transitions where to_state = 'down' and reason = 'not-ready'",
        );
        return rows.length === 1;
      });
      expect(lab.told('node-1')).toEqual(['up null']);
    } finally {
      lab.nats.kill('SIGCONT');
    }
    await lab.untilTold('node-1', 'down not-ready', 15_000);
  });
});

it('shares the work by what it knows from rows while NATS is away', async () => {
  const nodes = await Promise.all(
    ['node-1', 'node-2', 'node-3', 'node-4', 'node-5'].map((id) => lab.node(id)),
  );
  const away = { HOLDFAST_NATS_SERVERS: '127.0.0.1:1' };
  await lab.health('health-1', nodes, away);
  await lab.health('health-2', nodes, away);
  const askedBy = (atMs: number) =>
    nodes.map(({ probes }) => [
      ...new Set(probes.filter((probe) => probe.atMs > atMs).map(({ observer }) => observer)),
    ]);
  await until(
    'each node is asked by one of them',
    async () => {
      const atMs = performance.now();
      await wait(AFTER_ONE_INTERVAL_MS);
      const observers = askedBy(atMs);
      return observers.every((those) => those.length === 1) && new Set(observers.flat()).size === 2;
    },
    15_000,
  );
});
