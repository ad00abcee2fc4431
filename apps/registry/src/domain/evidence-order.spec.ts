import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { HealthChanged, NodeHeartbeat, NodeHold, NodeVerdict } from '#libs/contracts';
import { PROBE_RESULTS, VERDICT_REASONS } from '#libs/contracts';
import { MemberTable } from './member-table.js';
import { judge, type ReportedCondition } from './status.js';

/**
 * No oscillation: whatever was said before and in whatever order, once every source has said its last word the status
 * is what those last words give, and hearing them again changes nothing.
 */
const AT = '2026-01-01T00:00:00.000Z';
const WALL_MS = Date.parse(AT);
const ID = 'node-1';
const CONDITIONS: ReportedCondition[] = [
  'ok',
  'syncing',
  'stale',
  'overloaded',
  'wrong-database',
  'stopping',
];

type Word =
  | { from: 'node'; condition: ReportedCondition }
  | { from: 'failover'; verdict: Pick<NodeVerdict, 'verdict' | 'reason'> }
  | { from: 'health'; change: Pick<HealthChanged, 'health' | 'reason'> }
  | { from: 'operator'; hold: Pick<NodeHold, 'drained' | 'quarantinedUntil'> };

const verdicts = fc.oneof(
  fc.constant({ verdict: 'clear', reason: null } as const),
  fc.record({
    verdict: fc.constantFrom('failed' as const, 'degraded' as const),
    reason: fc.constantFrom(...VERDICT_REASONS),
  }),
);
const changes = fc.oneof(
  fc.constant({ health: 'up', reason: null } as const),
  fc.record({
    health: fc.constant('down' as const),
    reason: fc.constantFrom(...PROBE_RESULTS.filter((result) => result !== 'ok' && result !== 'busy')),
  }),
);
const holds = fc.record({
  drained: fc.boolean(),
  quarantinedUntil: fc.constantFrom(null, new Date(WALL_MS + 3_600_000).toISOString(), AT),
});
const words: fc.Arbitrary<Word> = fc.oneof(
  fc.constantFrom(...CONDITIONS).map((condition): Word => ({ from: 'node', condition })),
  verdicts.map((verdict): Word => ({ from: 'failover', verdict })),
  changes.map((change): Word => ({ from: 'health', change })),
  holds.map((hold): Word => ({ from: 'operator', hold })),
);

/** Hears words one after the other, each numbered anew, as if no time passed between them. */
class Hearer {
  readonly subject = new MemberTable({
    heartbeatTimeoutMs: 1_250,
    steadyMs: 3_000,
    maxMembers: 10,
    evidenceLifeMs: 5_000,
  });
  nowMs = 1_000;
  moves = 0;
  private seq = 0;

  constructor() {
    const request = { nodeId: ID, incarnation: 7, role: 'follower', address: null, metadata: {} } as const;
    this.subject.register({ ...request, kind: 'config-node' }, AT, this.nowMs);
  }

  hear(word: Word): void {
    const { subject, nowMs } = this;
    const seq = ++this.seq;
    const about = { nodeId: ID, incarnation: 7, at: AT, evidence: {} };
    const beat = (condition: ReportedCondition): NodeHeartbeat => ({
      nodeId: ID,
      incarnation: 7,
      seq,
      condition,
    });
    switch (word.from) {
      case 'node':
        this.count(subject.heartbeat(beat(word.condition), AT, nowMs));
        break;
      case 'failover': {
        const verdict = { ...about, ...word.verdict, judgedBy: 'f', confirmedBy: [] };
        this.count(subject.verdict(verdict, nowMs));
        break;
      }
      case 'health':
        this.count(subject.health({ ...about, ...word.change, observer: 'h', seq }, nowMs));
        break;
      case 'operator': {
        const hold = { nodeId: ID, seq, ...word.hold, by: 'o', why: '', at: AT };
        this.count(subject.hold(hold, nowMs, WALL_MS).transition);
        break;
      }
    }
  }

  /** Long enough for the bus to miss the node, while somebody renews what health checks say. */
  fallSilent(): void {
    this.nowMs += 1_300;
    this.count(this.subject.tick(this.nowMs)[0]);
  }

  get status(): string {
    const record = this.subject.get(ID);
    return `${record?.status} ${record?.reason}`;
  }

  private count(outcome: object | undefined): void {
    const transition =
      outcome && ('outcome' in outcome ? 'transition' in outcome && outcome.transition : outcome);
    if (transition) this.moves++;
  }
}

const lastWords = fc.record({
  condition: fc.constantFrom(...CONDITIONS),
  verdict: verdicts,
  change: changes,
  hold: holds,
  silent: fc.boolean(),
});

it('the last word of each source decides, whatever came before and in whatever order', () => {
  const order = fc.shuffledSubarray(['failover', 'health', 'operator'] as const, { minLength: 3 });
  fc.assert(
    fc.property(fc.array(words, { maxLength: 30 }), lastWords, order, (before, last, sources) => {
      const hearer = new Hearer();
      for (const word of before) hearer.hear(word);
      const say = {
        failover: () => hearer.hear({ from: 'failover', verdict: last.verdict }),
        health: () => hearer.hear({ from: 'health', change: last.change }),
        operator: () => hearer.hear({ from: 'operator', hold: last.hold }),
      };
      for (const source of sources) say[source]();
      // The node speaks again and again, so its word always comes after the others' too.
      hearer.hear({ from: 'node', condition: last.condition });
      if (last.silent) hearer.fallSilent();
      const { verdict, reason } = last.verdict;
      const expected = judge({
        kind: 'config-node',
        condition: last.condition,
        verdict: verdict === 'clear' || reason === null ? undefined : { verdict, reason },
        silent: last.silent,
        recovering: false, // which never decides once the node has spoken last
        checks:
          last.change.health === 'up'
            ? undefined
            : ['refused', 'reset', 'timeout'].includes(last.change.reason ?? '')
              ? 'unanswered'
              : 'not-ready',
        drained: last.hold.drained,
        quarantined: last.hold.quarantinedUntil !== null && last.hold.quarantinedUntil !== AT,
      });
      expect(hearer.status).toBe(`${expected.status} ${expected.reason}`);

      const { moves } = hearer;
      if (!last.silent) for (const source of sources) say[source]();
      hearer.subject.tick(hearer.nowMs);
      if (!last.silent) hearer.hear({ from: 'node', condition: last.condition });
      expect(hearer.moves).toBe(moves);
    }),
    { numRuns: 10_000 },
  );
});

it('health and failover that disagree for ever move a status once', () => {
  const rounds = fc.array(fc.constantFrom('health', 'failover', 'node', 'tick'), {
    minLength: 20,
    maxLength: 200,
  });
  fc.assert(
    fc.property(changes, verdicts, rounds, (change, verdict, sequence) => {
      const hearer = new Hearer();
      for (const source of ['node', 'health', 'failover', 'node'] as const) {
        if (source === 'node') hearer.hear({ from: 'node', condition: 'ok' });
        if (source === 'health') hearer.hear({ from: 'health', change });
        if (source === 'failover') hearer.hear({ from: 'failover', verdict });
      }
      const { moves, status } = hearer;
      for (const source of sequence) {
        if (source === 'health') hearer.hear({ from: 'health', change });
        if (source === 'failover') hearer.hear({ from: 'failover', verdict });
        if (source === 'node') hearer.hear({ from: 'node', condition: 'ok' });
        if (source === 'tick') hearer.subject.tick(hearer.nowMs);
      }
      expect([hearer.moves, hearer.status]).toEqual([moves, status]);
    }),
    { numRuns: 10_000 },
  );
});
