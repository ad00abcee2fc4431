import { describe, expect, it } from 'vitest';
import type { HealthChanged, NodeHeartbeat, NodeHold, NodeVerdict } from '#libs/contracts';
import type { MemberRecord, Registration, Transition } from './member.js';
import { MemberTable } from './member-table.js';

const AT = '2026-01-01T00:00:00.000Z';
const membership = (maxMembers = 10) =>
  new MemberTable({ heartbeatTimeoutMs: 1_250, steadyMs: 3_000, maxMembers, evidenceLifeMs: 5_000 });

const registration = (change: Partial<Registration> = {}): Registration => ({
  nodeId: 'node-1',
  incarnation: 100,
  kind: 'config-node',
  role: 'follower',
  address: 'http://127.0.0.1:7401',
  metadata: {},
  ...change,
});
const beat = (seq: number, change: Partial<NodeHeartbeat> = {}): NodeHeartbeat => ({
  nodeId: 'node-1',
  incarnation: 100,
  seq,
  condition: 'ok',
  ...change,
});
const verdict = (change: Partial<NodeVerdict> = {}): NodeVerdict => ({
  nodeId: 'node-1',
  incarnation: 100,
  verdict: 'failed',
  reason: 'process-down',
  judgedBy: 'failover-1',
  confirmedBy: [],
  evidence: {},
  at: AT,
  ...change,
});
const health = (seq: number, change: Partial<HealthChanged> = {}): HealthChanged => ({
  nodeId: 'node-1',
  incarnation: 100,
  health: 'down',
  reason: 'refused',
  observer: 'health-1',
  seq,
  evidence: {},
  at: AT,
  ...change,
});
const up = (seq: number) => health(seq, { health: 'up', reason: null });
const hold = (seq: number, change: Partial<NodeHold> = {}): NodeHold => ({
  nodeId: 'node-1',
  seq,
  drained: false,
  quarantinedUntil: null,
  by: 'failover-1',
  why: '',
  at: AT,
  ...change,
});
const shown = (transition: Transition | undefined) =>
  transition && `${transition.from} -> ${transition.to} ${transition.reason} #${transition.statusSeq}`;
const moved = (outcome: object) =>
  'transition' in outcome ? shown(outcome.transition as Transition | undefined) : undefined;

describe('a verdict that is published again from its row', () => {
  it('changes nothing once a later one was heard', () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    subject.heartbeat(beat(0), AT, 1);
    const failed = verdict({ seq: 4 });
    expect(shown(subject.verdict(failed, 1))).toBe('healthy -> failed process-down #3');
    subject.verdict(verdict({ seq: 5, verdict: 'clear', reason: null }), 1);
    subject.heartbeat(beat(1), AT, 2);
    expect(subject.get('node-1')?.status).toBe('healthy');
    expect(subject.verdict(failed, 2)).toBeUndefined();
    expect(subject.get('node-1')?.status).toBe('healthy');
  });
});

describe('registration', () => {
  it('begins degraded, whoever it is, and is healthy with the first good heartbeat', () => {
    const subject = membership();
    expect(moved(subject.register(registration(), AT, 0))).toBe('null -> degraded syncing #1');
    expect(moved(subject.heartbeat(beat(0, { condition: 'syncing' }), AT, 1))).toBeUndefined();
    expect(moved(subject.heartbeat(beat(1), AT, 2))).toBe('degraded -> healthy null #2');
  });

  it('refuses an incarnation that is not newer and tells which to exceed', () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    for (const incarnation of [100, 99]) {
      expect(subject.register(registration({ incarnation }), AT, 1)).toEqual({
        outcome: 'not-newer',
        exceed: 100,
      });
    }
  });

  it('takes a new incarnation as a fresh start: no verdict or status of the last one counts', () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    subject.heartbeat(beat(5), AT, 1);
    subject.verdict(verdict(), 1);
    expect(subject.get('node-1')?.status).toBe('failed');
    expect(moved(subject.register(registration({ incarnation: 101 }), AT, 2))).toBe(
      'failed -> degraded syncing #4',
    );
    expect(moved(subject.heartbeat(beat(0, { incarnation: 101 }), AT, 3))).toBe(
      'degraded -> healthy null #5',
    );
  });

  it('completes a member that was only heard of, once', () => {
    const subject = membership();
    subject.heartbeat(beat(0, { kind: 'config-node' }), AT, 0);
    expect(subject.register(registration(), AT, 1)).toMatchObject({ outcome: 'registered' });
    expect(subject.register(registration(), AT, 2)).toMatchObject({ outcome: 'not-newer' });
  });

  it('has a bound', () => {
    const subject = membership(1);
    subject.register(registration(), AT, 0);
    expect(subject.register(registration({ nodeId: 'node-2' }), AT, 0)).toEqual({ outcome: 'full' });
    expect(subject.heartbeat(beat(0, { nodeId: 'node-3', kind: 'service' }), AT, 0)).toEqual({
      outcome: 'full',
    });
  });
});

describe('heartbeats', () => {
  it('are dropped unless (incarnation, seq) is greater', () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    subject.heartbeat(beat(7, { version: 3 }), AT, 1);
    for (const old of [beat(7), beat(6), beat(99, { incarnation: 99 })]) {
      expect(subject.heartbeat({ ...old, version: 9 }, AT, 2)).toEqual({ outcome: 'stale' });
    }
    expect(subject.get('node-1')?.version).toBe(3);
  });

  it('of a stranger are unknown, unless they tell what it is', () => {
    const subject = membership();
    expect(subject.heartbeat(beat(0), AT, 0)).toEqual({ outcome: 'unknown' });
    expect(moved(subject.heartbeat(beat(0, { kind: 'service' }), AT, 0))).toBe('null -> degraded syncing #1');
    expect(moved(subject.heartbeat(beat(1), AT, 0))).toBe('degraded -> healthy null #2');
  });

  it('of one that left are stale, until it comes back as a new incarnation', () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    expect(subject.deregister('node-1', 100)).toBe('left');
    expect(subject.get('node-1')).toBeUndefined();
    expect(subject.heartbeat(beat(9), AT, 1)).toEqual({ outcome: 'stale' });
    expect(subject.register(registration(), AT, 1)).toEqual({ outcome: 'not-newer', exceed: 100 });
    expect(moved(subject.register(registration({ incarnation: 101 }), AT, 2))).toBe(
      'null -> degraded syncing #2',
    );
  });

  it('tell the lag against the highest version heard', () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    subject.register(registration({ nodeId: 'node-2' }), AT, 0);
    subject.heartbeat(beat(0, { version: 40 }), AT, 1);
    subject.heartbeat(beat(0, { nodeId: 'node-2', version: 42, role: 'leader' }), AT, 1);
    const lags = subject.records().map((record) => subject.info(record).lag);
    expect(lags).toEqual([2, 0]);
  });
});

describe('verdicts', () => {
  it('count for the incarnation that was judged only', () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    subject.heartbeat(beat(0), AT, 0);
    expect(subject.verdict(verdict({ incarnation: 99 }), 0)).toBeUndefined();
    expect(subject.verdict(verdict({ incarnation: 101 }), 0)).toBeUndefined();
    expect(shown(subject.verdict(verdict(), 0))).toBe('healthy -> failed process-down #3');
    expect(subject.verdict(verdict(), 0)).toBeUndefined();
  });

  it('withdrawn, lead back by way of recovering', () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    subject.heartbeat(beat(0), AT, 0);
    subject.verdict(verdict({ reason: 'unresponsive' }), 0);
    expect(moved(subject.heartbeat(beat(1), AT, 1))).toBeUndefined();
    expect(shown(subject.verdict(verdict({ verdict: 'clear', reason: null }), 1))).toBe(
      'failed -> degraded recovering #4',
    );
    expect(moved(subject.heartbeat(beat(2), AT, 2))).toBe('degraded -> healthy null #5');
  });

  it('that nobody withdraws end when heartbeats have come steadily for long', () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    subject.heartbeat(beat(0), AT, 0);
    subject.verdict(verdict(), 0);
    const seen: string[] = [];
    for (let seq = 1; seq <= 10; seq++) {
      const move = moved(subject.heartbeat(beat(seq), AT, seq * 500));
      if (move) seen.push(`${seq * 500} ${move}`);
    }
    expect(seen).toEqual(['3500 failed -> degraded recovering #4', '4000 degraded -> healthy null #5']);
  });
});

describe('silence', () => {
  it('degrades a config node, fails a service, and ends with the next heartbeat', () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    subject.register(registration({ nodeId: 'billing', kind: 'service' }), AT, 0);
    subject.heartbeat(beat(0), AT, 0);
    subject.heartbeat(beat(0, { nodeId: 'billing' }), AT, 0);
    expect(subject.tick(1_250)).toEqual([]);
    expect(subject.tick(1_251).map(shown)).toEqual([
      'healthy -> degraded bus-partitioned #3',
      'healthy -> failed unresponsive #3',
    ]);
    expect(subject.tick(1_300)).toEqual([]);
    expect(moved(subject.heartbeat(beat(1), AT, 1_400))).toBe('degraded -> healthy null #4');
  });

  it('is forgiven when nothing could be heard', () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    subject.heartbeat(beat(0), AT, 0);
    subject.resetHeartbeatDeadlines(60_000);
    expect(subject.tick(61_000)).toEqual([]);
    expect(subject.tick(61_300)).toHaveLength(1);
  });
});

describe('health evidence', () => {
  const healthy = () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    subject.heartbeat(beat(0), AT, 0);
    return subject;
  };

  it('degrades a node whose heartbeats arrive, by what the checks have found', () => {
    const subject = healthy();
    expect(shown(subject.health(health(1), 0))).toBe('healthy -> degraded unreachable #3');
    expect(shown(subject.health(health(2, { reason: 'not-ready' }), 0))).toBe(
      'degraded -> degraded not-ready #4',
    );
    expect(shown(subject.health(up(3), 0))).toBe('degraded -> healthy null #5');
  });

  it('with silence fails a node, also when no witness is left to say so', () => {
    const subject = healthy();
    subject.health(health(1), 1_000);
    expect(subject.tick(1_251).map(shown)).toEqual(['degraded -> failed unresponsive #4']);
    expect(moved(subject.heartbeat(beat(1), AT, 1_300))).toBe('failed -> degraded unreachable #5');
  });

  it('counts by (incarnation, seq), and for its own incarnation only', () => {
    const subject = healthy();
    expect(subject.health(health(9, { incarnation: 99 }), 0)).toBeUndefined();
    expect(subject.health(up(5), 0)).toBeUndefined();
    expect(subject.health(health(4), 0)).toBeUndefined();
    expect(subject.health(health(1, { incarnation: 101 }), 0)).toBeUndefined();
    expect(moved(subject.register(registration({ incarnation: 101 }), AT, 1))).toBe(
      'healthy -> degraded unreachable #3',
    );
  });

  it('ends by itself unless it is renewed', () => {
    const subject = healthy();
    subject.health(health(1), 0);
    for (let nowMs = 500; nowMs <= 10_000; nowMs += 500) {
      subject.heartbeat(beat(nowMs), AT, nowMs);
      expect(subject.health(health(1), nowMs)).toBeUndefined();
      expect(subject.tick(nowMs)).toEqual([]);
    }
    const ends: number[] = [];
    for (let nowMs = 10_100; nowMs <= 17_000; nowMs += 100) {
      subject.heartbeat(beat(nowMs), AT, nowMs);
      if (subject.get('node-1')?.status === 'healthy') ends.push(nowMs);
    }
    expect(ends[0]).toBe(15_100);
    // The next instance may count from a lower number: what has ended holds it back no more.
    expect(shown(subject.health(health(0), 17_000))).toBe('healthy -> degraded unreachable #5');
  });

  it('does not age while nothing could be heard', () => {
    const subject = healthy();
    subject.health(health(1), 0);
    for (let nowMs = 100; nowMs <= 60_000; nowMs += 100) subject.resetHeartbeatDeadlines(nowMs);
    expect(subject.tick(60_050)).toEqual([]);
    expect(subject.get('node-1')?.reason).toBe('unreachable');
  });
});

describe('holds', () => {
  it('outlive the process, and the greatest seq counts', () => {
    const subject = membership();
    expect(subject.hold(hold(3, { drained: true }), 0, 0)).toEqual({ news: true, transition: undefined });
    expect(moved(subject.register(registration(), AT, 0))).toBe('null -> degraded draining #1');
    expect(moved(subject.heartbeat(beat(0), AT, 0))).toBeUndefined();
    expect(subject.hold(hold(2), 0, 0).news).toBe(false);
    expect(moved(subject.register(registration({ incarnation: 101 }), AT, 1))).toBe(
      'degraded -> degraded draining #2',
    );
    subject.heartbeat(beat(0, { incarnation: 101 }), AT, 2);
    const { news, transition } = subject.hold(hold(4), 3, 0);
    expect([news, shown(transition)]).toEqual([true, 'degraded -> healthy null #3']);
  });

  it('of quarantine end at their time, whoever is there to say so', () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    subject.heartbeat(beat(0), AT, 0);
    const wallMs = Date.parse(AT);
    const until = new Date(wallMs + 2_000).toISOString();
    const { transition } = subject.hold(hold(1, { quarantinedUntil: until }), 500, wallMs);
    expect(shown(transition)).toBe('healthy -> failed quarantined #3');
    const moves: string[] = [];
    for (let nowMs = 500; nowMs <= 3_000; nowMs += 100) {
      const move = moved(subject.heartbeat(beat(nowMs), AT, nowMs));
      if (move) moves.push(`${nowMs} ${move}`);
    }
    expect(moves).toEqual(['2500 failed -> healthy null #4']);
  });
});

describe('what others know', () => {
  const stored: MemberRecord = {
    nodeId: 'node-1',
    kind: 'config-node',
    role: 'follower',
    address: null,
    incarnation: 100,
    status: 'failed',
    reason: 'process-down',
    statusSeq: 9,
    version: 5,
    term: 2,
    lastHeartbeatAt: AT,
    registeredAt: AT,
    metadata: {},
    left: false,
  };

  it('is taken in where it is newer', () => {
    const subject = membership();
    subject.merge(stored, 0, { authoritative: true });
    expect(subject.get('node-1')).toMatchObject({ status: 'failed', statusSeq: 9 });
    expect(subject.tick(100)).toEqual([]);
    expect(subject.register(registration(), AT, 1)).toEqual({ outcome: 'not-newer', exceed: 100 });
    expect(moved(subject.register(registration({ incarnation: 101 }), AT, 1))).toBe(
      'failed -> degraded syncing #10',
    );
    subject.merge({ ...stored, statusSeq: 20 }, 2, { authoritative: true });
    expect(subject.get('node-1')).toMatchObject({ status: 'degraded', incarnation: 101, statusSeq: 20 });
  });

  it('of a status without its evidence is a guess, which steady heartbeats end', () => {
    const subject = membership();
    subject.merge({ ...stored, status: 'degraded', reason: 'unreachable' }, 0, { authoritative: true });
    const moves: string[] = [];
    for (let nowMs = 500; nowMs <= 5_000; nowMs += 500) {
      const move = moved(subject.heartbeat(beat(nowMs), AT, nowMs));
      if (move) moves.push(`${nowMs} ${move}`);
    }
    expect(moves).toEqual(['3500 degraded -> healthy null #10']);
  });

  it('is completed by the evidence that was kept, whichever store answers first', () => {
    const unreachable = { ...stored, status: 'degraded', reason: 'unreachable' } as const;
    const standing = { verdict: null, verdictSeq: 0, health: health(7) };
    for (const cacheFirst of [true, false]) {
      const subject = membership();
      if (cacheFirst) expect(subject.introduce(unreachable, 0, 1_000)).toBe('introduced');
      subject.merge(unreachable, 0, { authoritative: true, standing });
      if (!cacheFirst) expect(subject.introduce(unreachable, 0, 1_000)).toBe('known');
      expect(moved(subject.heartbeat(beat(1), AT, 500))).toBeUndefined();
      expect(shown(subject.health(up(8), 600))).toBe('degraded -> healthy null #10');
    }
  });

  it('finding 5: of a cache introduces a member as syncing, and is neither judged nor written', () => {
    const subject = membership();
    expect(subject.introduce({ ...stored, role: 'leader' }, 0, 1_000)).toBe('introduced');
    expect(subject.get('node-1')).toMatchObject({
      ...{ status: 'degraded', reason: 'syncing' },
      role: 'follower',
    });
    expect(subject.get('node-1')).toMatchObject({ version: 0, term: 0 });
    expect(subject.tick(1_000_000)).toEqual([]);
    expect(subject.health(up(8), 1_000_000)).toBeUndefined();
    expect(subject.deregister('node-1', 100)).toBe('unknown');
  });

  it('finding 5: of a cache replaces nobody, and holds no true incarnation off', () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    expect(subject.introduce({ ...stored, incarnation: 900, address: 'http://evil' }, 0, 1_000)).toBe(
      'known',
    );
    expect(subject.get('node-1')).toMatchObject({ incarnation: 100 });

    const restarted = membership();
    expect(restarted.introduce({ ...stored, incarnation: 900 }, 0, 1_000)).toBe('introduced');
    expect(restarted.register(registration(), AT, 1)).toMatchObject({ outcome: 'registered' });
    expect(restarted.get('node-1')).toMatchObject({ incarnation: 100 });

    const heard = membership();
    expect(heard.introduce({ ...stored, incarnation: 900 }, 0, 1_000)).toBe('introduced');
    expect(moved(heard.heartbeat(beat(1), AT, 1))).toBe('degraded -> degraded syncing #10');
    expect(heard.get('node-1')).toMatchObject({ incarnation: 100 });
  });

  it('finding 5: of a cache with an incarnation of the day after tomorrow is refused', () => {
    const subject = membership();
    const twoDays = 2 * 24 * 3_600_000;
    expect(subject.introduce({ ...stored, incarnation: twoDays }, 0, 0)).toBe('refused');
    expect(subject.get('node-1')).toBeUndefined();
  });

  it('of a quarantine is no verdict: the hold is kept by itself', () => {
    const subject = membership();
    subject.merge({ ...stored, reason: 'quarantined' }, 0, { authoritative: true });
    expect(moved(subject.heartbeat(beat(1), AT, 100))).toBe('failed -> healthy null #10');
  });

  it('with the same number counts only when it comes from the database', () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    const other = {
      nodeId: 'node-1',
      incarnation: 100,
      status: 'failed',
      reason: 'unresponsive',
      statusSeq: 1,
    } as const;
    subject.mergeStatus(other, { authoritative: false });
    expect(subject.get('node-1')?.status).toBe('degraded');
    subject.mergeStatus(other, { authoritative: true });
    expect(subject.get('node-1')?.status).toBe('failed');
  });
});
