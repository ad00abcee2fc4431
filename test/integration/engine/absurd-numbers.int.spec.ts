import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COUNTER_MAX } from '#libs/contracts';
import { Bus } from '#libs/messaging';
import { type EngineLab, openEngineLab, put, until, write } from './engine-lab.js';

let lab: EngineLab;

beforeAll(async () => {
  lab = await openEngineLab();
});
afterAll(() => lab.close());

describe('finding 2: absurd numbers on the bus', () => {
  it('depose no leader and stay in no node', async () => {
    const leader = await lab.node('node-1');
    const follower = await lab.node('node-2');
    await lab.elect(leader);
    await leader.engine.publisher.submit(write([put('a', '1')]));
    await until(() => follower.replica.version === 1, 'the follower has the change');
    const { term, clusterId, chain } = await lab.storage.store.readHead();
    const absurd = { term: COUNTER_MAX, version: COUNTER_MAX, chain };
    const stranger = { nodeId: 'node-9', incarnation: 1, seq: 1, kind: 'config-node' } as const;
    const { bus } = follower;
    bus.publish('node.heartbeat', { ...stranger, ...absurd, clusterId });
    bus.publish('node.heartbeat', { ...stranger, seq: 2, term: term + 500, version: 5 });
    bus.publish('sync.head', { ...absurd, leaderId: 'node-9', confirmedAgoMs: 0 });
    bus.publish('sync.changes', { leaderId: 'node-9', head: absurd, changes: [] });
    bus.publish('leader.elected', {
      ...{ term: COUNTER_MAX, leaderId: 'node-9', leaderAddress: 'http://127.0.0.1:1', incarnation: 1 },
      ...{ previousLeaderId: null, version: COUNTER_MAX, reason: 'first', at: '2026-01-01T00:00:00.000Z' },
      timings: { detectMs: 0, electMs: 0 },
    });
    await bus.flush();
    await leader.bus.flush();
    // Head is read after each of them: what a node makes of them stands by then.
    const confirmed = leader.engine.leadership.fenceConfirmedAgoMs;
    expect(confirmed).not.toBeNull();
    for (let i = 0; i < 5; i++) await leader.engine.publisher.submit(write([put('b', `${i}`)]));
    await until(() => follower.replica.version === 6, 'the follower follows');
    expect(leader.engine.publisher.isLeading).toBe(true);
    for (const { engine } of [leader, follower]) expect(engine.host.term).toBe(term);
    expect((await lab.storage.store.readHead()).term).toBe(term);
    expect(follower.engine.leadership.leaderId).toBe('node-1');
  });
});

describe('finding 11: another cluster on the same bus', () => {
  it('deposes no leader, moves no term and gives no changes', async () => {
    const leader = await lab.node('node-3');
    const follower = await lab.node('node-4');
    await lab.elect(leader);
    await leader.engine.publisher.submit(write([put('c', '1')]));
    const head = await lab.storage.store.readHead();
    await until(() => follower.replica.version === head.version, 'the follower has the change');
    const { port, user, password } = lab.nats;
    const at = { servers: [`127.0.0.1:${port}`], user, password, name: 'foreign' };
    const logger = pino({ level: 'silent' });
    const foreign = Bus.connect({ ...at, clusterKey: 'the-key-of-another-cluster', logger });
    await until(() => foreign.connected, 'connected');
    const before = [leader, follower].map(({ bus }) => bus.counts.forged);
    const term = head.term + 1;
    foreign.publish('sync.head', { term, version: 99, chain: head.chain, leaderId: 'x', confirmedAgoMs: 0 });
    foreign.publish('leader.elected', {
      ...{ term, leaderId: 'x', leaderAddress: 'http://127.0.0.1:1', incarnation: 1, previousLeaderId: null },
      ...{
        version: 99,
        reason: 'first',
        timings: { detectMs: 0, electMs: 0 },
        at: '2026-01-01T00:00:00.000Z',
      },
    });
    await until(
      () => [leader, follower].every(({ bus }, i) => bus.counts.forged >= (before[i] ?? 0) + 2),
      'both have dropped them',
    );
    await leader.engine.publisher.submit(write([put('c', '2')]));
    expect(leader.engine.publisher.isLeading).toBe(true);
    for (const { engine } of [leader, follower]) {
      expect(engine.host.term).toBe(head.term);
      expect(engine.leadership.leaderId).toBe('node-3');
    }
    await foreign.close();
  });
});
