import { isFarAhead, type VerdictReason } from '#libs/contracts';
import type { DetectorInput, DetectorOutput, DetectorSettings, GivenVerdict } from './detector.types.js';
import { type Assessment, assess, assessSilence, type Surroundings } from './evidence.js';
import { OwnDelay } from './own-delay.js';
import { beginAnew, judgeAfresh, type WatchedNode, watched } from './watched.js';

/**
 * Judges nodes by the evidence that one witness gathers. Pure: time and evidence come in; out come suspicions, for
 * which the shell seeks other witnesses, and withdrawals. A suspicion becomes a verdict only when the shell, or
 * another witness, says so (`verdict`): then everybody holds the same verdicts, whoever gave them.
 *
 * Own-pause guard: a tick that comes too late means that this process did not run. What it did not hear in that time
 * proves nothing, so all evidence that rests on time begins anew. A stalled judge never fails anybody.
 */
export class FailureDetector {
  private readonly nodes = new Map<string, WatchedNode>();
  private hearingSinceMs: number | undefined;
  private writingSinceMs: number | undefined;
  private leader: Surroundings['leader'];
  private lastTickMs: number | undefined;
  private pausedUntilMs = Number.NEGATIVE_INFINITY;
  private readonly ownDelay: OwnDelay;

  constructor(private readonly settings: DetectorSettings) {
    this.ownDelay = new OwnDelay(settings.cannotLeadAfterMs);
  }

  handle(input: DetectorInput): DetectorOutput[] {
    if (input.type !== 'forget') this.guard(input.nowMs);
    switch (input.type) {
      case 'tick':
        return this.tick(input.nowMs);
      case 'bus':
        this.hearingSinceMs = input.connected ? (this.hearingSinceMs ?? input.nowMs) : undefined;
        return [];
      case 'own-write':
        this.ownWrite(input);
        return [];
      case 'leader':
        return this.setLeader(input.leader, input.nowMs);
      case 'forget':
        this.nodes.delete(input.nodeId);
        return [];
      case 'known':
        return this.speaks(input.nodeId, input.incarnation, input.nowMs).outputs;
      case 'heartbeat':
      case 'ping-answered':
        return this.alive(input);
      default:
        return this.aboutKnown(input);
    }
  }

  /** What another witness is told that asks about a node. */
  view(nodeId: string, nowMs: number): 'connected' | 'lost' | 'unknown' | 'paused' {
    const node = this.nodes.get(nodeId);
    if (!node) return 'unknown';
    if (nowMs < this.pausedUntilMs) return 'paused';
    if (node.tether === 'closed') return node.refusedAtMs.length > 0 ? 'lost' : 'unknown';
    const assessment = this.assess(node, nowMs);
    if (assessment?.reason === 'unresponsive') return 'lost';
    return node.tether === 'open' || node.pingOks > 0 ? 'connected' : 'unknown';
  }

  /** Whether our own evidence says the same of the node. */
  agrees(nodeId: string, incarnation: number, reason: VerdictReason, nowMs: number): boolean {
    const node = this.nodes.get(nodeId);
    if (!node || node.incarnation !== incarnation || nowMs < this.pausedUntilMs) return false;
    if (this.assess(node, nowMs)?.reason === reason) return true;
    return reason === 'unresponsive' && this.assessSilence(node, nowMs)?.reason === reason;
  }

  verdictOn(nodeId: string): WatchedNode['verdict'] {
    return this.nodes.get(nodeId)?.verdict;
  }

  /** Its latest ping was answered. */
  answers(nodeId: string): boolean {
    return (this.nodes.get(nodeId)?.pingOks ?? 0) > 0;
  }

  incarnationOf(nodeId: string): number | undefined {
    return this.nodes.get(nodeId)?.incarnation;
  }

  private tick(nowMs: number): DetectorOutput[] {
    const lateMs = nowMs - (this.lastTickMs ?? nowMs) - this.settings.tickEveryMs;
    this.ownDelay.note(Math.max(0, lateMs), nowMs);
    this.lastTickMs = nowMs;
    if (nowMs < this.pausedUntilMs) return [];
    return [...this.nodes.values()].flatMap((node) => this.evaluate(node, nowMs));
  }

  /** Looked at with every input: after a stall the time-outs of pings fire before the answers are read. */
  private guard(nowMs: number): void {
    const { tickEveryMs, ownPauseMs, freshRoundMs } = this.settings;
    this.lastTickMs ??= nowMs;
    if (nowMs - this.lastTickMs - tickEveryMs <= ownPauseMs) return;
    this.lastTickMs = nowMs;
    this.pausedUntilMs = nowMs + freshRoundMs;
    for (const node of this.nodes.values()) beginAnew(node, nowMs);
  }

  /** A write that took long shows that the database has stalled: once it is back everybody gets time to notice. */
  private ownWrite({ ok, tookMs = 0, nowMs }: Extract<DetectorInput, { type: 'own-write' }>): void {
    if (ok) this.ownDelay.note(tookMs, nowMs);
    if (!ok) this.writingSinceMs = undefined;
    else if (tookMs > this.settings.slowWriteMs) this.writingSinceMs = nowMs;
    else this.writingSinceMs ??= nowMs;
  }

  private setLeader(
    leader: { nodeId: string; incarnation: number } | undefined,
    nowMs: number,
  ): DetectorOutput[] {
    this.leader = leader && { ...leader, sinceMs: nowMs };
    if (!leader) return [];
    const known = this.nodes.get(leader.nodeId);
    const node =
      known && known.incarnation >= leader.incarnation
        ? known
        : this.watch(leader.nodeId, leader.incarnation, nowMs);
    // A fence that was confirmed in an earlier term says nothing of this one.
    node.fenceConfirmedAtMs = undefined;
    judgeAfresh(node);
    return this.restarted(node);
  }

  private alive(input: Extract<DetectorInput, { type: 'heartbeat' | 'ping-answered' }>): DetectorOutput[] {
    const { nodeId, incarnation, nowMs } = input;
    const { node, outputs } = this.speaks(nodeId, incarnation, nowMs);
    if (!node) return outputs;
    if (input.type === 'heartbeat') {
      if (nowMs - node.heardAtMs > this.settings.heartbeatTimeoutMs) node.steadySinceMs = nowMs;
      node.heardAtMs = nowMs;
    } else {
      node.pingOks++;
      node.pingMisses = 0;
      node.missingSinceMs = undefined;
    }
    if (input.fenceConfirmedAgoMs !== undefined) {
      const confirmedAtMs = nowMs - input.fenceConfirmedAgoMs;
      node.fenceConfirmedAtMs = Math.max(node.fenceConfirmedAtMs ?? confirmedAtMs, confirmedAtMs);
    }
    return outputs.concat(this.evaluate(node, nowMs));
  }

  /** Somebody speaks as this incarnation. Undefined: it is an old one, whose words count for nothing. */
  private speaks(
    nodeId: string,
    incarnation: number,
    nowMs: number,
  ): { node: WatchedNode | undefined; outputs: DetectorOutput[] } {
    const known = this.nodes.get(nodeId);
    if (known && incarnation < known.incarnation) return { node: undefined, outputs: [] };
    if (known && incarnation === known.incarnation) return { node: known, outputs: [] };
    const node = this.watch(nodeId, incarnation, nowMs);
    return { node, outputs: this.restarted(node) };
  }

  private watch(nodeId: string, incarnation: number, nowMs: number): WatchedNode {
    const node = watched({ nodeId, incarnation, nowMs, before: this.nodes.get(nodeId) });
    this.nodes.set(nodeId, node);
    return node;
  }

  private restarted(node: WatchedNode): DetectorOutput[] {
    const { leader } = this;
    if (leader?.nodeId !== node.nodeId || leader.incarnation >= node.incarnation) return [];
    if (node.restartTold === node.incarnation) return [];
    node.restartTold = node.incarnation;
    const { nodeId, incarnation } = leader;
    return [{ type: 'leader-restarted', nodeId, incarnation, newIncarnation: node.incarnation }];
  }

  private aboutKnown(
    input: Extract<
      DetectorInput,
      {
        type:
          | 'ping-missed'
          | 'moved'
          | 'connection-opened'
          | 'connection-closed'
          | 'dial-refused'
          | 'dial-accepted'
          | 'verdict'
          | 'not-confirmed';
      }
    >,
  ): DetectorOutput[] {
    const nodeId = input.type === 'verdict' ? input.verdict.nodeId : input.nodeId;
    const node = this.nodes.get(nodeId);
    if (!node) return [];
    const { nowMs } = input;
    switch (input.type) {
      case 'ping-missed':
        node.pingOks = 0;
        node.pingMisses++;
        node.missingSinceMs ??= input.sentMs;
        return this.evaluate(node, nowMs);
      case 'moved':
      case 'connection-opened':
      case 'dial-accepted':
        node.tether = input.type === 'connection-opened' ? 'open' : 'none';
        node.tetherClosedAtMs = undefined;
        node.refusedAtMs = [];
        node.crashUnproven = false;
        return this.evaluate(node, nowMs);
      case 'connection-closed':
        if (node.tether !== 'open') return [];
        node.tether = 'closed';
        node.tetherClosedAtMs = nowMs;
        node.refusedAtMs = [];
        return [];
      case 'dial-refused':
        return this.refused(node, nowMs);
      case 'verdict':
        return this.accept(node, input.verdict);
      case 'not-confirmed':
        node.asking = undefined;
        node.crashUnproven = input.reason === 'process-down' && input.alone;
        node.askAgainAtMs = nowMs + this.settings.askAgainMs * 2 ** Math.min(node.timesRefuted++, 3);
        return [];
    }
  }

  private refused(node: WatchedNode, nowMs: number): DetectorOutput[] {
    if (node.tether !== 'closed') return [];
    // The first and the latest are enough.
    node.refusedAtMs = [node.refusedAtMs[0] ?? nowMs, nowMs].slice(node.refusedAtMs.length === 0 ? 1 : 0);
    const outputs = this.evaluate(node, nowMs);
    const isLeader = this.leader?.nodeId === node.nodeId && this.leader.incarnation === node.incarnation;
    if (node.refusedAtMs.length === 1 && isLeader) {
      outputs.unshift({ type: 'alarm', nodeId: node.nodeId, incarnation: node.incarnation });
    }
    return outputs;
  }

  private accept(node: WatchedNode, given: GivenVerdict): DetectorOutput[] {
    if (given.incarnation !== node.incarnation) return [];
    if (given.seq !== undefined && given.seq < node.verdictSeq) return [];
    if (isFarAhead(node.verdictSeq, given.seq ?? 0)) return [];
    node.verdictSeq = given.seq ?? node.verdictSeq;
    // News of a lesser evil does not end the question about a greater one.
    if (given.verdict !== 'degraded' || given.reason === node.asking) node.asking = undefined;
    node.verdictIsOld = false;
    node.verdict =
      given.verdict === 'clear' || given.reason === null
        ? undefined
        : { verdict: given.verdict, reason: given.reason };
    return [];
  }

  private evaluate(node: WatchedNode, nowMs: number): DetectorOutput[] {
    const assessment = this.toAsk(node, nowMs);
    if (!assessment) {
      node.timesRefuted = 0;
      return this.maybeClear(node);
    }
    const judged = !node.verdictIsOld && isSaidBy(node.verdict, assessment.reason);
    if (judged || node.asking === assessment.reason) return [];
    if (nowMs < node.askAgainAtMs && node.asking === undefined) return [];
    // Only fresh refusals speak during the round after a pause of our own.
    if (nowMs < this.pausedUntilMs && assessment.reason !== 'process-down') return [];
    node.asking = assessment.reason;
    const { nodeId, incarnation } = node;
    return [{ type: 'suspect', nodeId, incarnation, massSilence: this.isMassSilence(nowMs), ...assessment }];
  }

  /** The gravest that can be confirmed. */
  private toAsk(node: WatchedNode, nowMs: number): Assessment | undefined {
    const gravest = this.assess(node, nowMs);
    if (gravest?.reason !== 'process-down' || !node.crashUnproven) return gravest;
    const silence = this.assessSilence(node, nowMs);
    return silence?.reason === 'unresponsive' ? silence : gravest;
  }

  private maybeClear(node: WatchedNode): DetectorOutput[] {
    if (!node.verdict || node.pingOks < this.settings.clearAfterPings) return [];
    if (node.verdict.reason === 'handover') return [];
    node.verdict = undefined;
    node.verdictIsOld = false;
    return [{ type: 'clear', nodeId: node.nodeId, incarnation: node.incarnation }];
  }

  /** More than half of all nodes are newly gone at once: then it may be us. */
  private isMassSilence(nowMs: number): boolean {
    let gone = 0;
    for (const node of this.nodes.values()) {
      const reason = this.assess(node, nowMs)?.reason;
      if (node.verdict === undefined && (reason === 'unresponsive' || reason === 'process-down')) gone++;
    }
    return gone * 2 > this.nodes.size && this.nodes.size > 1;
  }

  private assess(node: WatchedNode, nowMs: number): Assessment | undefined {
    return assess(node, this.surroundings(nowMs), this.settings);
  }

  private assessSilence(node: WatchedNode, nowMs: number): Assessment | undefined {
    return assessSilence(node, this.surroundings(nowMs), this.settings);
  }

  private surroundings(nowMs: number): Surroundings {
    const { hearingSinceMs, writingSinceMs, leader } = this;
    return { nowMs, hearingSinceMs, writingSinceMs, leader, allowanceMs: this.ownDelay.allowanceMs(nowMs) };
  }
}

const FAILURES: readonly VerdictReason[] = ['process-down', 'unresponsive'];

/** Two witnesses may find the same node failed for different reasons: once is enough, or each would correct the other for ever. */
function isSaidBy(verdict: WatchedNode['verdict'], reason: VerdictReason): boolean {
  if (verdict?.verdict === 'failed' && FAILURES.includes(reason)) return true;
  return verdict?.reason === reason;
}
