import type { Dispatcher } from 'undici';
import type { RequestSigner } from '#libs/cluster-auth';
import { CHANGE_FRAMES_TYPE, FrameDamaged, HEADERS } from '#libs/contracts';
import type { Upstreams } from '../nodes/upstreams.js';
import { type FollowMessage, type LogDecoder, logDecoderFor } from './log-decoder.js';

class StreamEnded extends Error {}

const ACCEPT = `${CHANGE_FRAMES_TYPE}, application/x-ndjson;q=0.5`;

/** Why a stream ended: `damaged` when what the node sent cannot be read. */
export interface StreamEnd {
  why: string;
  damaged: boolean;
}

export interface StreamListener {
  message: (message: FollowMessage) => void;
  /** Comes once. */
  end: (end: StreamEnd) => void;
}

/** The log of one node, message by message, until either side ends it. */
export class FollowStream implements Dispatcher.DispatchHandler {
  private controller: Dispatcher.DispatchController | undefined;
  private over = false;
  private decoder: LogDecoder | undefined;

  constructor(private readonly listener: StreamListener) {}

  static open(
    upstreams: Upstreams,
    at: { address: string; after: number; signer: RequestSigner },
    listener: StreamListener,
  ): FollowStream {
    const stream = new FollowStream(listener);
    const path = `/internal/follow?after=${at.after}`;
    const signature = at.signer.sign(at.address, path, { method: 'GET' });
    upstreams.pool(at.address).dispatch(
      {
        method: 'GET',
        path,
        headers: [HEADERS.signature, signature, 'accept', ACCEPT],
        headersTimeout: 5_000,
        bodyTimeout: 0, // who listens keeps time: a sign of life is due every 500 ms
      },
      stream,
    );
    return stream;
  }

  close(): void {
    if (this.over) return;
    this.over = true;
    this.controller?.abort(new StreamEnded());
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    if (this.over) controller.abort(new StreamEnded());
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status !== 200) this.fail(`status ${status}`, false);
    this.decoder = logDecoderFor(headers['content-type']?.toString());
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.over || this.decoder === undefined) return;
    let messages: FollowMessage[];
    try {
      messages = this.decoder.push(chunk);
    } catch (error) {
      if (!(error instanceof FrameDamaged)) throw error;
      this.fail(error.message, true);
      return;
    }
    for (const message of messages) if (!this.over) this.listener.message(message);
  }

  onResponseEnd(): void {
    this.ended('the node ended the stream');
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.ended(error.message);
  }

  private fail(why: string, damaged: boolean): void {
    if (this.over) return;
    this.close();
    this.listener.end({ why, damaged });
  }

  private ended(why: string): void {
    if (this.over) return;
    this.over = true;
    this.listener.end({ why, damaged: false });
  }
}
