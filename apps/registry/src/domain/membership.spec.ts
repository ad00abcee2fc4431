import { describe, expect, it } from 'vitest';
import type { NodeHeartbeat, NodeVerdict } from '#libs/contracts';
import type { MemberRecord, Registration, Transition } from './member.js';
import { Membership } from './membership.js';

const AT = '2026-01-01T00:00:00.000Z';
const membership = (maxMembers = 10) =>
  new Membership({ heartbeatTimeoutMs: 1_250, steadyMs: 3_000, maxMembers });

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
    expect(shown(subject.verdict(failed))).toBe('healthy -> failed process-down #3');
    subject.verdict(verdict({ seq: 5, verdict: 'clear', reason: null }));
    subject.heartbeat(beat(1), AT, 2);
    expect(subject.get('node-1')?.status).toBe('healthy');
    expect(subject.verdict(failed)).toBeUndefined();
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
    subject.verdict(verdict());
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
    expect(subject.verdict(verdict({ incarnation: 99 }))).toBeUndefined();
    expect(subject.verdict(verdict({ incarnation: 101 }))).toBeUndefined();
    expect(shown(subject.verdict(verdict()))).toBe('healthy -> failed process-down #3');
    expect(subject.verdict(verdict())).toBeUndefined();
  });

  it('withdrawn, lead back by way of recovering', () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    subject.heartbeat(beat(0), AT, 0);
    subject.verdict(verdict({ reason: 'unresponsive' }));
    expect(moved(subject.heartbeat(beat(1), AT, 1))).toBeUndefined();
    expect(shown(subject.verdict(verdict({ verdict: 'clear', reason: null })))).toBe(
      'failed -> degraded recovering #4',
    );
    expect(moved(subject.heartbeat(beat(2), AT, 2))).toBe('degraded -> healthy null #5');
  });

  it('that nobody withdraws end when heartbeats have come steadily for long', () => {
    const subject = membership();
    subject.register(registration(), AT, 0);
    subject.heartbeat(beat(0), AT, 0);
    subject.verdict(verdict());
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
    subject.forgiveSilence(60_000);
    expect(subject.tick(61_000)).toEqual([]);
    expect(subject.tick(61_300)).toHaveLength(1);
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
