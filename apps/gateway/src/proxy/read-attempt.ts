import type { Dispatcher } from 'undici';
import type { Candidate } from '../domain/nodes/candidate.js';
import type { LoadBalancer } from '../domain/nodes/load-balancer.js';

export type AnswerHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** An answer that was read before it is passed on: a node that is stopping is not the last word. */
export interface HeldAnswer {
  status: number;
  headers: AnswerHeaders;
  body: Buffer;
}

/** Who wants the answer; told nothing any more of an attempt that was abandoned. */
export interface AttemptOwner {
  answerBegan(attempt: ReadAttempt, status: number, headers: AnswerHeaders): void;
  answerData(attempt: ReadAttempt, chunk: Buffer): void;
  answerEnded(attempt: ReadAttempt): void;
  /** The whole of a 503 or 403, of which nothing was told before. */
  answerHeld(attempt: ReadAttempt, held: HeldAnswer): void;
  attemptBroke(attempt: ReadAttempt, error: Error): void;
}

/** An error body longer than this is none of ours and is passed on unread. */
const HELD_BYTES = 64 * 1024;

class AbandonedRead extends Error {}

/** One node asked for one read: counted there from when it is sent until it is over, whichever way it ends. */
export class ReadAttempt implements Dispatcher.DispatchHandler {
  /** When it got a connection; undefined while not one byte can have left. */
  sentMs: number | undefined;
  private controller: Dispatcher.DispatchController | undefined;
  private over = false;
  private held: { status: number; headers: AnswerHeaders; chunks: Buffer[]; bytes: number } | undefined;

  constructor(
    readonly node: Candidate,
    private readonly owner: AttemptOwner,
    private readonly balancer: LoadBalancer,
    private readonly monotonicMs: () => number,
  ) {}

  get underWay(): boolean {
    return !this.over;
  }

  begin(pool: Dispatcher, request: Omit<Dispatcher.DispatchOptions, 'origin'>): void {
    this.balancer.sent(this.node);
    pool.dispatch(request, this);
  }

  abandon(): void {
    if (!this.finish()) return;
    this.controller?.abort(new AbandonedRead());
  }

  pause(): void {
    this.controller?.pause();
  }

  resume(): void {
    this.controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    if (this.over) controller.abort(new AbandonedRead());
    else this.sentMs = this.monotonicMs();
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: AnswerHeaders): void {
    if (status < 200 || this.over) return;
    const length = headers['content-length'];
    const mayBeOurs = typeof length !== 'string' || Number(length) <= HELD_BYTES;
    if ((status === 503 || status === 403) && mayBeOurs)
      this.held = { status, headers, chunks: [], bytes: 0 };
    else this.owner.answerBegan(this, status, headers);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.over) return;
    if (this.held === undefined) {
      this.owner.answerData(this, chunk);
      return;
    }
    this.held.chunks.push(chunk);
    this.held.bytes += chunk.length;
    if (this.held.bytes > HELD_BYTES) this.release(this.held);
  }

  onResponseEnd(): void {
    const { held } = this;
    if (!this.finish()) return;
    if (held === undefined) this.owner.answerEnded(this);
    else {
      const { status, headers, chunks } = held;
      this.owner.answerHeld(this, { status, headers, body: Buffer.concat(chunks) });
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.finish()) this.owner.attemptBroke(this, error);
  }

  private release({ status, headers, chunks }: NonNullable<ReadAttempt['held']>): void {
    this.held = undefined;
    this.owner.answerBegan(this, status, headers);
    for (const chunk of chunks) this.owner.answerData(this, chunk);
  }

  /** @returns false when it was over before */
  private finish(): boolean {
    if (this.over) return false;
    this.over = true;
    this.balancer.over(this.node);
    return true;
  }
}
