import { invariant } from '#libs/kernel';
import type { WriteAnswer } from './write-answer.js';
import {
  type LeaderTarget,
  PARKING_LIMITS,
  type ParkingAction,
  type ParkingInput,
  type ParkingLimits,
} from './write-parking.types.js';

const PROBE_FIRST_MS = 5;
const PROBE_CAP_MS = 20;
/** A leader that has not refused the probe for so long has taken it: a refusal comes at once. */
const PROBE_TAKEN_MS = 20;
const BUSY_PAUSE_MS = 100;

interface ParkedWrite {
  id: number;
  sizeBytes: number;
  arrivedMs: number;
  ownKey: boolean;
  state: 'parked' | 'sending';
  unknown: boolean;
  /** Terms whose leader was lost with this write in flight. */
  diedOn: number[];
  /** Of the attempt under way, or of the last one. */
  attempt: { term: number; via: 'leader' | 'node'; sentMs: number; abandonAtMs: number };
  notBeforeMs: number;
  forwardedInTerm: number;
}

interface Trouble {
  probeId: number | null;
  nextProbeMs: number;
  delayMs: number;
  /** Since when no connection to the leader could be made; null while it can. */
  unreachableSinceMs: number | null;
}

/**
 * Carries writes over a change of leader.
 *
 * A write is either `sending` (one attempt is under way) or `parked` (waiting for a leader). An attempt that broke
 * after it was sent may have been committed: from then on the write is *unknown*, is repeated under the same
 * idempotency key, and its client gets nothing but success, a refusal that the leader gave after it had looked the
 * key up, or `outcome-unknown`. A write that was in flight on two leaders that died goes to no third: it may be
 * what kills them.
 *
 * While the leader refuses or cannot be reached, one write at a time is tried (the probe) and the others wait:
 * a thousand of them must not hammer a leader that is about to be ready. Terms name leaders: a term has one.
 *
 * Pure: time comes in, actions go out in the order in which they are to be done.
 */
export class WriteParking {
  /** In order of arrival. */
  private readonly writes = new Map<number, ParkedWrite>();
  private parkedCount = 0;
  private parkedBytes = 0;
  private heldBytes = 0;
  private target: LeaderTarget | null = null;
  private trouble: Trouble | null = null;

  constructor(private readonly limits: ParkingLimits = PARKING_LIMITS) {}

  get parked(): { writes: number; bytes: number } {
    return { writes: this.parkedCount, bytes: this.parkedBytes };
  }

  get held(): { writes: number; bytes: number } {
    return { writes: this.writes.size, bytes: this.heldBytes };
  }

  /** How soon a `tick` is wanted; undefined = not at all. */
  tickWithinMs(): number | undefined {
    if (this.writes.size === 0) return undefined;
    return this.parkedCount > 0 || this.trouble?.probeId != null
      ? PROBE_FIRST_MS
      : this.limits.abandonAfterMs;
  }

  handle(input: ParkingInput): ParkingAction[] {
    const actions: ParkingAction[] = [];
    switch (input.type) {
      case 'arrived':
        this.arrive(input, actions);
        break;
      case 'answered':
        this.answer(this.sendingOf(input.id), input.answer, input.nowMs, actions);
        break;
      case 'broke':
        this.attemptBroke(this.sendingOf(input.id), input.sent, input.nowMs, actions);
        break;
      case 'left':
        this.leave(input.id, actions);
        break;
      case 'target':
        this.retarget(input.target, input.nowMs, actions);
        break;
      case 'tick':
        this.giveUp(input.nowMs, actions);
        break;
    }
    this.moveOn(input.nowMs, actions);
    return actions;
  }

  private arrive(input: ParkingInput & { type: 'arrived' }, actions: ParkingAction[]): void {
    const { id, sizeBytes, ownKey, nowMs } = input;
    invariant(!this.writes.has(id), `write ${id} arrived twice`);
    if (this.writes.size >= this.limits.heldWrites || this.heldBytes + sizeBytes > this.limits.heldBytes) {
      actions.push({ do: 'refuse', id, code: 'cluster-busy', why: 'too many writes are under way here' });
      return;
    }
    const write: ParkedWrite = {
      id,
      sizeBytes,
      arrivedMs: nowMs,
      ownKey,
      state: 'sending',
      unknown: false,
      diedOn: [],
      attempt: { term: 0, via: 'leader', sentMs: nowMs, abandonAtMs: Number.POSITIVE_INFINITY },
      notBeforeMs: 0,
      forwardedInTerm: 0,
    };
    this.writes.set(id, write);
    this.heldBytes += sizeBytes;
    if (this.target !== null && this.trouble === null) this.send(write, this.target, nowMs, actions);
    else this.park(write, actions);
  }

  private answer(write: ParkedWrite, answer: WriteAnswer, nowMs: number, actions: ParkingAction[]): void {
    const fromTarget = this.isFromTarget(write);
    const notTaken = answer === 'not-leader' || answer === 'not-now';
    if (fromTarget && notTaken) this.troubled(write, nowMs, false);
    else if (fromTarget && !notTaken) this.trouble = null;

    if (notTaken) {
      this.park(write, actions);
    } else if (!write.unknown) {
      const mayHaveHappened = answer === 'garbled' || answer === 'broken';
      if (mayHaveHappened) this.finishUnknown(write, 'the leader failed while it had the write', actions);
      else this.pass(write, actions);
    } else if (answer === 'done' || answer === 'refused' || answer === 'unknown') {
      this.pass(write, actions);
    } else if (answer === 'busy') {
      write.notBeforeMs = nowMs + BUSY_PAUSE_MS;
      this.park(write, actions);
    } else {
      this.finishUnknown(write, 'an earlier attempt may have been committed', actions);
    }
  }

  private attemptBroke(write: ParkedWrite, sent: boolean, nowMs: number, actions: ParkingAction[]): void {
    if (this.isFromTarget(write)) this.troubled(write, nowMs, !sent);
    if (sent) this.inFlightLost(write);
    this.park(write, actions);
  }

  private leave(id: number, actions: ParkingAction[]): void {
    const write = this.writes.get(id);
    if (write === undefined) return;
    if (write.state === 'sending') actions.push({ do: 'abort', id });
    this.forget(write);
  }

  private retarget(target: LeaderTarget | null, nowMs: number, actions: ParkingAction[]): void {
    const before = this.target;
    this.target = target;
    if (target === null) {
      this.trouble = null;
      return;
    }
    if (before !== null && before.term === target.term && before.address === target.address) {
      if (this.trouble !== null) this.trouble.nextProbeMs = nowMs;
      return;
    }
    this.trouble = null;
    for (const write of this.writes.values()) {
      if (write.state !== 'sending' || write.attempt.term >= target.term) continue;
      write.attempt.abandonAtMs = Math.min(write.attempt.abandonAtMs, nowMs + this.limits.abandonAfterMs);
    }
    for (const write of this.parkedWrites()) {
      if (write.notBeforeMs <= nowMs) this.send(write, target, nowMs, actions);
    }
  }

  /** Ends waits that took too long, and attempts at leaders that are no more. */
  private giveUp(nowMs: number, actions: ParkingAction[]): void {
    for (const write of [...this.writes.values()]) {
      if (write.state === 'parked') {
        if (nowMs - write.arrivedMs >= this.limits.parkedMs) {
          this.finish(write, 'no leader took the write in time', actions);
        }
      } else if (nowMs - write.attempt.sentMs >= this.limits.attemptMs) {
        actions.push({ do: 'abort', id: write.id });
        this.finishUnknown(write, 'the leader did not answer in time', actions);
      } else if (nowMs >= write.attempt.abandonAtMs) {
        actions.push({ do: 'abort', id: write.id });
        this.inFlightLost(write);
        this.park(write, actions);
      }
    }
  }

  /** After every input: whatever can be sent now is sent. */
  private moveOn(nowMs: number, actions: ParkingAction[]): void {
    if (this.target === null || (this.parkedCount === 0 && this.trouble === null)) return;
    if (this.trouble !== null) this.watchProbe(this.trouble, nowMs);
    const { target, trouble } = this;
    if (trouble === null) {
      for (const write of this.parkedWrites()) {
        if (write.notBeforeMs <= nowMs) this.send(write, target, nowMs, actions);
      }
      return;
    }
    if (trouble.probeId === null && nowMs >= trouble.nextProbeMs) this.probe(trouble, target, nowMs, actions);
    const { unreachableSinceMs } = trouble;
    if (unreachableSinceMs !== null && nowMs - unreachableSinceMs >= this.limits.forwardAfterMs) {
      for (const write of this.parkedWrites()) this.forward(write, target, nowMs, actions);
    }
  }

  private watchProbe(trouble: Trouble, nowMs: number): void {
    if (trouble.probeId === null) return;
    const probe = this.writes.get(trouble.probeId);
    if (probe === undefined || probe.state !== 'sending') trouble.probeId = null;
    else if (trouble.unreachableSinceMs === null && nowMs - probe.attempt.sentMs >= PROBE_TAKEN_MS)
      this.trouble = null;
  }

  private probe(trouble: Trouble, target: LeaderTarget, nowMs: number, actions: ParkingAction[]): void {
    for (const write of this.parkedWrites()) {
      if (write.notBeforeMs > nowMs) continue;
      this.send(write, target, nowMs, actions);
      if (write.state !== 'sending' || !this.writes.has(write.id)) continue; // it may not go to a third leader
      trouble.probeId = write.id;
      return;
    }
  }

  private troubled(write: ParkedWrite, nowMs: number, unreachable: boolean): void {
    const before = this.trouble;
    // Of the attempts that fail after the first only the probe's failure says something new.
    if (before !== null && before.probeId !== write.id) {
      if (unreachable) before.unreachableSinceMs ??= nowMs;
      return;
    }
    const delayMs = before === null ? PROBE_FIRST_MS : Math.min(before.delayMs * 2, PROBE_CAP_MS);
    this.trouble = {
      probeId: null,
      delayMs,
      nextProbeMs: nowMs + delayMs,
      unreachableSinceMs: unreachable ? (before?.unreachableSinceMs ?? nowMs) : null,
    };
  }

  private send(write: ParkedWrite, target: LeaderTarget, nowMs: number, actions: ParkingAction[]): void {
    if (write.diedOn.length >= 2 && !write.diedOn.includes(target.term)) {
      this.finishUnknown(write, 'two leaders were lost while they had this write', actions);
      return;
    }
    this.unpark(write);
    write.attempt = {
      term: target.term,
      via: 'leader',
      sentMs: nowMs,
      abandonAtMs: Number.POSITIVE_INFINITY,
    };
    actions.push({ do: 'send', id: write.id, target, fresh: write.ownKey && !write.unknown });
  }

  private forward(write: ParkedWrite, target: LeaderTarget, nowMs: number, actions: ParkingAction[]): void {
    if (write.forwardedInTerm === target.term || write.diedOn.length >= 2) return;
    write.forwardedInTerm = target.term;
    this.unpark(write);
    write.attempt = { term: target.term, via: 'node', sentMs: nowMs, abandonAtMs: Number.POSITIVE_INFINITY };
    actions.push({
      do: 'forward',
      id: write.id,
      term: target.term,
      fresh: write.ownKey && !write.unknown,
    });
  }

  private inFlightLost(write: ParkedWrite): void {
    write.unknown = true;
    const { term, via } = write.attempt;
    if (via === 'leader' && !write.diedOn.includes(term)) write.diedOn.push(term);
  }

  private park(write: ParkedWrite, actions: ParkingAction[]): void {
    if (
      this.parkedCount >= this.limits.parkedWrites ||
      this.parkedBytes + write.sizeBytes > this.limits.parkedBytes
    ) {
      this.finish(write, 'too many writes wait for a leader', actions);
      return;
    }
    write.state = 'parked';
    this.parkedCount += 1;
    this.parkedBytes += write.sizeBytes;
  }

  private unpark(write: ParkedWrite): void {
    if (write.state !== 'parked') return;
    write.state = 'sending';
    this.parkedCount -= 1;
    this.parkedBytes -= write.sizeBytes;
  }

  private pass(write: ParkedWrite, actions: ParkingAction[]): void {
    this.forget(write);
    actions.push({ do: 'pass', id: write.id });
  }

  private finish(write: ParkedWrite, why: string, actions: ParkingAction[]): void {
    if (write.unknown) {
      this.finishUnknown(write, why, actions);
      return;
    }
    this.forget(write);
    actions.push({ do: 'refuse', id: write.id, code: 'no-leader', why });
  }

  private finishUnknown(write: ParkedWrite, why: string, actions: ParkingAction[]): void {
    this.forget(write);
    actions.push({ do: 'refuse', id: write.id, code: 'outcome-unknown', why });
  }

  private forget(write: ParkedWrite): void {
    this.unpark(write);
    this.writes.delete(write.id);
    this.heldBytes -= write.sizeBytes;
  }

  private isFromTarget(write: ParkedWrite): boolean {
    return write.attempt.via === 'leader' && write.attempt.term === this.target?.term;
  }

  private parkedWrites(): ParkedWrite[] {
    if (this.parkedCount === 0) return [];
    return [...this.writes.values()].filter((write) => write.state === 'parked');
  }

  private sendingOf(id: number): ParkedWrite {
    const write = this.writes.get(id);
    invariant(write !== undefined && write.state === 'sending', `write ${id} is not under way`);
    return write;
  }
}
