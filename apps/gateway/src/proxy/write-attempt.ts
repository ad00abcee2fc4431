import type { Dispatcher } from 'undici';
import type { Problem } from '#libs/contracts';
import { problemIn } from './client.js';
import type { AnswerHeaders } from './read-attempt.js';

/** The whole answer to one attempt; `problem` when it is an error of ours. */
export interface WriteReply {
  status: number;
  headers: AnswerHeaders;
  body: Buffer;
  problem: Problem | undefined;
}

/** Answers to writes are small; a change set of 1,000 operations with the longest keys has some 700 KB. */
const MAX_REPLY_BYTES = 4 * 1024 * 1024;

export class AbandonedWrite extends Error {}

/**
 * One attempt to have a write done. Its answer counts only as a whole: half of one says as little as none. Reports
 * once, unless it was abandoned.
 */
export class WriteAttempt implements Dispatcher.DispatchHandler {
  private controller: Dispatcher.DispatchController | undefined;
  private sent = false;
  private over = false;
  private status = 0;
  private headers: AnswerHeaders = {};
  private readonly chunks: Buffer[] = [];
  private bytes = 0;

  constructor(
    private readonly report: {
      answered: (reply: WriteReply) => void;
      /** `sent` unless not one byte can have left. */
      broke: (sent: boolean, error: Error) => void;
      /** Comes once, before the others, whichever way it ended. */
      over: () => void;
    },
  ) {}

  abandon(): void {
    if (!this.finish()) return;
    this.controller?.abort(new AbandonedWrite());
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    if (this.over) controller.abort(new AbandonedWrite());
    else this.sent = true;
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: AnswerHeaders): void {
    this.status = status;
    this.headers = headers;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.bytes > MAX_REPLY_BYTES)
      controller.abort(new Error('the answer is larger than any answer to a write'));
    else this.chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (!this.finish()) return;
    const { status, headers } = this;
    const body = Buffer.concat(this.chunks);
    const problem = status >= 400 ? problemIn(body) : undefined;
    this.report.answered({ status, headers, body, problem });
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.finish()) this.report.broke(this.sent, error);
  }

  /** @returns false when it was over before */
  private finish(): boolean {
    if (this.over) return false;
    this.over = true;
    this.report.over();
    return true;
  }
}
