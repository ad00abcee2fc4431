import { Problem } from '#libs/contracts';
import type { DecidedWithoutCommit } from './batch.js';
import type { CommitterAction } from './committer.types.js';
import type { WriteOutcome } from './write.js';
import type { Pending } from './write-queue.js';

/** Collects what a step leads to, in order. */
export class CommitterActions {
  private actions: CommitterAction[] = [];

  push(action: CommitterAction): void {
    this.actions.push(action);
  }

  drain(): CommitterAction[] {
    const { actions } = this;
    this.actions = [];
    return actions;
  }

  answer(pending: Pending, outcome: WriteOutcome): void {
    for (const { ticket } of pending.waiters) this.push({ type: 'answer', ticket, outcome });
  }

  refuse(ticket: number, problem: Problem): void {
    this.push({ type: 'refuse', ticket, problem });
  }

  refuseAll(pending: Pending, problem: Problem): void {
    for (const { ticket } of pending.waiters) this.refuse(ticket, problem);
  }

  notLeader(pending: Pending): void {
    for (const { ticket } of pending.waiters) this.push({ type: 'not-leader', ticket });
  }

  /** Decided from memory, and the fence has been found as it should be since. */
  settle(settled: readonly DecidedWithoutCommit[]): void {
    for (const { pending, answer } of settled) {
      if (answer instanceof Problem) this.refuseAll(pending, answer);
      else this.answer(pending, answer);
    }
  }

  /** Removes the write's waiters whose time is over, telling them why. */
  expire(pending: Pending, nowMs: number, problem: () => Problem): void {
    const late = pending.waiters.filter((waiter) => nowMs >= waiter.deadlineMs);
    if (late.length === 0) return;
    pending.waiters = pending.waiters.filter((waiter) => nowMs < waiter.deadlineMs);
    for (const { ticket } of late) this.refuse(ticket, problem());
  }
}

export function storageUnavailable(message = 'the database does not answer'): Problem {
  return new Problem('storage-unavailable', `nothing was written: ${message}`);
}

export function outcomeUnknown(): Problem {
  return new Problem('outcome-unknown', 'repeat it with the same Idempotency-Key to learn its outcome');
}

/** Nothing of it was under way now; but an answer kept from an earlier attempt says that the write did happen. */
export function unconfirmed({ answer }: DecidedWithoutCommit): Problem {
  return answer instanceof Problem ? storageUnavailable() : outcomeUnknown();
}
