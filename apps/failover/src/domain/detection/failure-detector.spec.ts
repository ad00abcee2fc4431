import { describe, expect, it } from 'vitest';
import type { DetectorInput, DetectorOutput } from './detector.types.js';
import { FailureDetector } from './failure-detector.js';

const settings = {
  heartbeatTimeoutMs: 1_250,
  pingMisses: 3,
  pingTimeoutMs: 500,
  steadyPings: 4,
  refusalsApartMs: 20,
  cannotLeadAfterMs: 2_000,
  tickEveryMs: 50,
  ownPauseMs: 500,
  freshRoundMs: 750,
  clearAfterPings: 2,
  askAgainMs: 250,
  slowWriteMs: 250,
};

/** A detector with a leader node-1 and a follower node-2, both well, ticking since 0. */
class Bench {
  readonly detector = new FailureDetector(settings);
  nowMs = 0;
  readonly outputs: DetectorOutput[] = [];
  readonly nodes = ['node-1', 'node-2', 'node-3'];
  seenBy = new Set(this.nodes);

  constructor() {
    this.give({ type: 'bus', connected: true, nowMs: 0 });
    this.give({ type: 'own-write', ok: true, nowMs: 0 });
    for (const nodeId of this.nodes) {
      this.give({ type: 'known', nodeId, incarnation: 7, nowMs: 0 });
      this.give({ type: 'connection-opened', nodeId, nowMs: 0 });
    }
    this.give({ type: 'leader', leader: { nodeId: 'node-1', incarnation: 7 }, nowMs: 0 });
    this.run(3_000);
  }

  give(input: DetectorInput): DetectorOutput[] {
    const outputs = this.detector.handle(input);
    this.outputs.push(...outputs);
    return outputs;
  }

  /** Time passes: ticks every 50 ms, heartbeats every 500 and pings every 250 ms of the nodes in `alive`. */
  run(ms: number, alive: { beats?: string[]; pings?: string[] } = {}): string[] {
    const { beats = this.nodes, pings = this.nodes } = alive;
    const before = this.outputs.length;
    const begin = this.nowMs;
    const end = this.nowMs + ms;
    while (this.nowMs < end) {
      this.nowMs += 50;
      const { nowMs } = this;
      for (const nodeId of this.nodes) {
        const fence = nodeId === 'node-1' ? 400 : undefined;
        const common = { nodeId, incarnation: 7, fenceConfirmedAgoMs: fence, nowMs };
        if (nowMs % 500 === 0 && beats.includes(nodeId)) this.give({ type: 'heartbeat', ...common });
        if (nowMs % 250 !== 0) continue;
        if (pings.includes(nodeId)) this.give({ type: 'ping-answered', ...common });
        else if (nowMs - begin > 500) this.give({ type: 'ping-missed', nodeId, sentMs: nowMs - 500, nowMs });
      }
      this.give({ type: 'tick', nowMs });
    }
    return this.outputs.slice(before).map(show);
  }

  confirm(
    nodeId: string,
    verdict: 'failed' | 'degraded',
    reason: 'unresponsive' | 'process-down' | 'bus-partitioned',
  ) {
    this.give({ type: 'verdict', verdict: { nodeId, incarnation: 7, verdict, reason }, nowMs: this.nowMs });
  }
}

function show(output: DetectorOutput): string {
  return output.type === 'suspect' ? `${output.nodeId} ${output.reason}` : `${output.type} ${output.nodeId}`;
}

const tellsOf = (bench: Bench, nodeId: string) =>
  bench.outputs.filter((output) => output.nodeId === nodeId).map(show);
const clear = (nodeId: string) => ({ nodeId, incarnation: 7, verdict: 'clear', reason: null }) as const;
const judgedAs = (verdict: 'failed' | 'clear', seq: number) =>
  ({ ...clear('node-2'), verdict, reason: verdict === 'failed' ? 'unresponsive' : null, seq }) as const;
const refuted = { nodeId: 'node-2', reason: 'process-down', alone: false } as const;

describe('a verdict that is heard', () => {
  it('counts unless a later one was heard before', () => {
    const bench = new Bench();
    const hear = (verdict: 'failed' | 'clear', seq: number) =>
      bench.give({ type: 'verdict', verdict: judgedAs(verdict, seq), nowMs: 3_010 });
    hear('failed', 3);
    expect(bench.detector.verdictOn('node-2')?.reason).toBe('unresponsive');
    hear('clear', 4);
    hear('failed', 3);
    expect(bench.detector.verdictOn('node-2')).toBeUndefined();
    hear('failed', 5);
    expect(bench.detector.verdictOn('node-2')?.reason).toBe('unresponsive');
  });
});

describe('a crash', () => {
  it('is suspected after two refusals 20 ms apart, with an alarm for a leader after the first', () => {
    const bench = new Bench();
    const at = (type: 'connection-closed' | 'dial-refused', nowMs: number) =>
      bench.give({ type, nodeId: 'node-1', nowMs }).map(show);
    expect(at('connection-closed', 3_001)).toEqual([]);
    expect(at('dial-refused', 3_002)).toEqual(['alarm node-1']);
    expect(at('dial-refused', 3_010)).toEqual([]);
    expect(at('dial-refused', 3_022)).toEqual(['node-1 process-down']);
    expect(at('dial-refused', 3_100)).toEqual([]);
    expect(bench.detector.view('node-1', 3_100)).toBe('lost');
    expect(bench.outputs.at(-1)).toMatchObject({ sinceMs: 3_001, massSilence: false });
  });

  it('is none when a new connection is accepted', () => {
    const bench = new Bench();
    bench.give({ type: 'connection-closed', nodeId: 'node-1', nowMs: 3_001 });
    bench.give({ type: 'dial-refused', nodeId: 'node-1', nowMs: 3_002 });
    bench.give({ type: 'dial-accepted', nodeId: 'node-1', nowMs: 3_010 });
    expect(bench.give({ type: 'dial-refused', nodeId: 'node-1', nowMs: 3_030 })).toEqual([]);
  });

  it('is asked about again when it was not confirmed', () => {
    const bench = new Bench();
    const refuse = (nowMs: number) => bench.give({ type: 'dial-refused', nodeId: 'node-2', nowMs }).map(show);
    bench.give({ type: 'connection-closed', nodeId: 'node-2', nowMs: 3_001 });
    expect([refuse(3_002), refuse(3_030)].flat()).toEqual(['node-2 process-down']);
    bench.give({ type: 'not-confirmed', ...refuted, nowMs: 3_040 });
    expect(refuse(3_280)).toEqual([]);
    expect(refuse(3_290)).toEqual(['node-2 process-down']);
  });

  it('that another witness calls by another name is not argued about', () => {
    const bench = new Bench();
    bench.give({ type: 'connection-closed', nodeId: 'node-2', nowMs: bench.nowMs });
    bench.give({ type: 'dial-refused', nodeId: 'node-2', nowMs: bench.nowMs });
    bench.give({ type: 'dial-refused', nodeId: 'node-2', nowMs: bench.nowMs + 21 });
    bench.confirm('node-2', 'failed', 'process-down');
    bench.confirm('node-2', 'failed', 'unresponsive');
    const alive = ['node-1', 'node-3'];
    expect(bench.run(3_000, { beats: alive, pings: alive })).toEqual([]);
  });

  it('is seen on the connection that was tied before the incarnation was known', () => {
    const bench = new Bench();
    bench.give({ type: 'connection-opened', nodeId: 'node-2', nowMs: 3_001 });
    const said = { nodeId: 'node-2', incarnation: 8, fenceConfirmedAgoMs: undefined };
    bench.give({ type: 'ping-answered', ...said, nowMs: 3_002 });
    bench.give({ type: 'connection-closed', nodeId: 'node-2', nowMs: 3_040 });
    bench.give({ type: 'dial-refused', nodeId: 'node-2', nowMs: 3_041 });
    expect(bench.give({ type: 'dial-refused', nodeId: 'node-2', nowMs: 3_062 }).map(show)).toEqual([
      'node-2 process-down',
    ]);
  });

  it('is not seen on a connection to where the node has been before', () => {
    const bench = new Bench();
    bench.give({ type: 'moved', nodeId: 'node-2', nowMs: 3_001 });
    const said = { nodeId: 'node-2', incarnation: 8, fenceConfirmedAgoMs: undefined };
    bench.give({ type: 'heartbeat', ...said, nowMs: 3_002 });
    for (const nowMs of [3_041, 3_062]) bench.give({ type: 'dial-refused', nodeId: 'node-2', nowMs });
    expect(tellsOf(bench, 'node-2')).toEqual([]);
    expect(bench.detector.view('node-2', 3_062)).toBe('unknown');
  });

  it('that nobody else could see is judged by its silence instead', () => {
    const bench = new Bench();
    const { nowMs } = bench;
    bench.give({ type: 'connection-closed', nodeId: 'node-1', nowMs });
    for (const at of [nowMs + 1, nowMs + 25])
      bench.give({ type: 'dial-refused', nodeId: 'node-1', nowMs: at });
    bench.give({
      ...{ type: 'not-confirmed', nodeId: 'node-1', reason: 'process-down', alone: true },
      nowMs: nowMs + 80,
    });
    const others = ['node-2', 'node-3'];
    expect(bench.run(1_750, { beats: others, pings: others })).toContain('node-1 unresponsive');
    const agrees = (reason: 'unresponsive' | 'process-down') =>
      bench.detector.agrees('node-1', 7, reason, bench.nowMs);
    expect([agrees('unresponsive'), agrees('process-down')]).toEqual([true, true]);
  });

  it('that another witness refuted is not', () => {
    const bench = new Bench();
    const { nowMs } = bench;
    bench.give({ type: 'connection-closed', nodeId: 'node-2', nowMs });
    for (const at of [nowMs + 1, nowMs + 25])
      bench.give({ type: 'dial-refused', nodeId: 'node-2', nowMs: at });
    bench.give({ type: 'not-confirmed', ...refuted, nowMs: nowMs + 80 });
    const others = ['node-1', 'node-3'];
    expect(bench.run(1_750, { beats: others, pings: others })).toEqual(['node-2 process-down']);
  });
});

describe('silence', () => {
  it('of a frozen leader is suspected within 2 s, and of a stall under 1 s never', () => {
    const bench = new Bench();
    const stalled = bench.run(950, { beats: ['node-2', 'node-3'], pings: ['node-2', 'node-3'] });
    expect(stalled).toEqual([]);
    bench.run(2_000);
    const frozen = bench.run(2_000, { beats: ['node-2', 'node-3'], pings: ['node-2', 'node-3'] });
    expect(frozen).toEqual(['node-1 unresponsive']);
  });

  it('on the bus alone degrades, and the next answers clear it', () => {
    const bench = new Bench();
    expect(bench.run(2_000, { beats: ['node-1', 'node-3'] })).toEqual(['node-2 bus-partitioned']);
    bench.confirm('node-2', 'degraded', 'bus-partitioned');
    expect(bench.run(1_000)).toEqual(['clear node-2']);
  });

  it('of all pings but not of the bus is unreachable; for a leader it means that it cannot lead', () => {
    const bench = new Bench();
    expect(bench.run(1_500, { pings: ['node-1', 'node-3'] })).toEqual(['node-2 unreachable']);
    bench.run(1_000);
    expect(bench.run(1_500, { pings: ['node-2', 'node-3'] })).toContain('node-1 cannot-lead');
  });

  it('of more than half of all nodes at once is marked', () => {
    const bench = new Bench();
    bench.run(3_000, { beats: ['node-3'], pings: ['node-3'] });
    const suspicions = bench.outputs.filter((output) => output.type === 'suspect');
    expect(suspicions.map((output) => output.massSilence)).toContain(true);
  });

  it('while the bus is away is judged by pings alone', () => {
    const bench = new Bench();
    bench.give({ type: 'bus', connected: false, nowMs: bench.nowMs });
    expect(bench.run(5_000, { beats: [] })).toEqual([]);
    expect(bench.run(1_500, { beats: [], pings: ['node-1', 'node-3'] })).toEqual(['node-2 unresponsive']);
  });
});

describe('the own-pause guard', () => {
  it('gives nobody away after a stall of its own, until it has fresh evidence', () => {
    const bench = new Bench();
    bench.nowMs += 6_000;
    const { nowMs } = bench;
    // Timers fire before sockets drain: time-outs of pings come first.
    for (let i = 0; i < 3; i++)
      bench.give({ type: 'ping-missed', nodeId: 'node-1', sentMs: nowMs - 5_000, nowMs });
    const early = bench.outputs.filter((output) => output.type === 'suspect');
    bench.give({ type: 'tick', nowMs });
    expect(bench.detector.view('node-1', nowMs)).toBe('paused');
    expect(bench.run(3_000)).toEqual([]);
    expect(early).toEqual([]);
  });

  it('still sees a node that died meanwhile', () => {
    const bench = new Bench();
    bench.nowMs += 6_000;
    bench.give({ type: 'tick', nowMs: bench.nowMs });
    expect(bench.run(2_500, { beats: ['node-1'], pings: ['node-1', 'node-3'] })).toContain(
      'node-2 unresponsive',
    );
  });
});

describe('incarnations', () => {
  it('a leader that speaks as a new one has lost its term', () => {
    const bench = new Bench();
    const input = { nodeId: 'node-1', incarnation: 8, fenceConfirmedAgoMs: undefined, nowMs: 3_100 };
    expect(bench.give({ type: 'heartbeat', ...input })).toEqual([
      { type: 'leader-restarted', nodeId: 'node-1', incarnation: 7, newIncarnation: 8 },
    ]);
    expect(bench.give({ type: 'ping-answered', ...input })).toEqual([]);
  });

  it('an old one counts for nothing', () => {
    const bench = new Bench();
    bench.give({
      type: 'heartbeat',
      nodeId: 'node-2',
      incarnation: 6,
      fenceConfirmedAgoMs: undefined,
      nowMs: 3_100,
    });
    expect(bench.detector.incarnationOf('node-2')).toBe(7);
  });

  it('a restart of a follower is no failure, and ends its verdict', () => {
    const bench = new Bench();
    bench.confirm('node-2', 'failed', 'process-down');
    const input = { nodeId: 'node-2', incarnation: 8, fenceConfirmedAgoMs: undefined, nowMs: 3_100 };
    expect(bench.give({ type: 'heartbeat', ...input })).toEqual([]);
    expect(bench.detector.verdictOn('node-2')).toBeUndefined();
  });

  it('a leader that nobody ever heard is found out too', () => {
    const bench = new Bench();
    bench.give({ type: 'leader', leader: { nodeId: 'node-9', incarnation: 3 }, nowMs: bench.nowMs });
    bench.nodes.push('node-9');
    const others = ['node-1', 'node-2', 'node-3'];
    expect(bench.run(3_000, { beats: others, pings: others })).toContain('node-9 unresponsive');
  });
});

describe('a new leader', () => {
  const deadAlready = () => {
    const bench = new Bench();
    bench.give({ type: 'connection-closed', nodeId: 'node-2', nowMs: 3_001 });
    bench.give({ type: 'dial-refused', nodeId: 'node-2', nowMs: 3_002 });
    bench.give({ type: 'dial-refused', nodeId: 'node-2', nowMs: 3_030 });
    bench.confirm('node-2', 'failed', 'process-down');
    return bench;
  };
  const claimed = (nodeId: string, nowMs: number): DetectorInput => ({
    type: 'leader',
    leader: { nodeId, incarnation: 7 },
    nowMs,
  });
  const tick = (bench: Bench, nowMs: number) => bench.give({ type: 'tick', nowMs }).map(show);

  it('is judged afresh: one that died before the claim is found out again', () => {
    const bench = deadAlready();
    expect(tick(bench, 3_050)).toEqual([]);
    bench.give(claimed('node-2', 3_060));
    expect(tick(bench, 3_100)).toEqual(['node-2 process-down']);
    bench.confirm('node-2', 'failed', 'process-down');
    expect(tick(bench, 3_150)).toEqual([]);
  });

  it('is judged afresh even while others are asked about it, or have just refuted it', () => {
    const asking = deadAlready();
    asking.give({ type: 'verdict', verdict: clear('node-2'), nowMs: 3_040 });
    expect(tick(asking, 3_050)).toEqual(['node-2 process-down']);
    asking.give(claimed('node-2', 3_060));
    expect(tick(asking, 3_100)).toEqual(['node-2 process-down']);
    asking.give({ type: 'not-confirmed', ...refuted, nowMs: 3_110 });
    asking.give(claimed('node-2', 3_120));
    expect(tick(asking, 3_150)).toEqual(['node-2 process-down']);
  });

  it('in a later term of the same incarnation is a new one', () => {
    const bench = deadAlready();
    bench.give(claimed('node-2', 3_060));
    tick(bench, 3_100);
    bench.confirm('node-2', 'failed', 'process-down');
    bench.give(claimed('node-2', 3_110));
    expect(tick(bench, 3_150)).toEqual(['node-2 process-down']);
  });

  it('whose verdict is of before keeps it until it shows that it lives, and then it is withdrawn', () => {
    const bench = deadAlready();
    bench.give(claimed('node-2', 3_060));
    expect(bench.detector.verdictOn('node-2')?.reason).toBe('process-down');
    bench.give({ type: 'ping-missed', nodeId: 'node-2', sentMs: 2_600, nowMs: 3_065 });
    bench.give({ type: 'dial-accepted', nodeId: 'node-2', nowMs: 3_070 });
    bench.nowMs = 3_100;
    expect(bench.run(600)).toEqual(['clear node-2']);
  });
});

describe('a leader that cannot commit', () => {
  /** Its fence was last confirmed at the beginning; every 250 ms it says so. */
  const heardFor = (ms: number, atEach: (bench: Bench, agoMs: number) => void = () => undefined) => {
    const bench = new Bench();
    const since = bench.nowMs;
    const seen: string[] = [];
    for (let nowMs = since + 50; nowMs <= since + ms; nowMs += 50) {
      const ago = nowMs - since;
      bench.nowMs = nowMs;
      const outputs = bench.give({ type: 'tick', nowMs });
      if (ago % 250 === 0) {
        atEach(bench, ago);
        const said = { nodeId: 'node-1', incarnation: 7, fenceConfirmedAgoMs: ago, nowMs };
        outputs.push(...bench.give({ type: 'heartbeat', ...said }));
      }
      const ofLeader = outputs.map(show).filter((output) => output.startsWith('node-1'));
      seen.push(...ofLeader.map((output) => `${ago} ${output}`));
    }
    return seen;
  };

  it('is found out by its own heartbeats', () => {
    expect(heardFor(3_000)).toEqual(['2050 node-1 cannot-lead']);
  });

  it('report 11: is not blamed for a machine on which our own writes are as slow', () => {
    const slow = (bench: Bench) =>
      bench.give({ type: 'own-write', ok: true, tookMs: 100, nowMs: bench.nowMs });
    expect(heardFor(3_000, slow)).toEqual(['2350 node-1 cannot-lead']);
  });

  it('is not blamed for a database that has just stalled: a write of our own took as long', () => {
    const seen = heardFor(4_500, (bench, ago) => {
      const tookMs = ago === 2_000 ? 251 : 250;
      bench.give({ type: 'own-write', ok: true, tookMs, nowMs: bench.nowMs });
    });
    expect(seen).toEqual(['4000 node-1 cannot-lead']);
  });
});
