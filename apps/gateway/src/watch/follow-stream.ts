import type { Dispatcher } from 'undici';
import { FollowLine, HEADERS } from '#libs/contracts';
import type { Upstreams } from '../nodes/upstreams.js';

/** A line may carry a batch of changes: 4 MiB of values, in base64. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;
const NEWLINE = 0x0a;

class Ended extends Error {}

/** The log of one node, line by line, until either side ends it. `onEnd` comes once. */
export class FollowStream implements Dispatcher.DispatchHandler {
  private controller: Dispatcher.DispatchController | undefined;
  private over = false;
  private pending: Buffer[] = [];
  private pendingBytes = 0;

  constructor(private readonly tell: { line: (line: FollowLine) => void; end: (why: string) => void }) {}

  static open(
    upstreams: Upstreams,
    at: { address: string; after: number; clusterKey: string },
    tell: { line: (line: FollowLine) => void; end: (why: string) => void },
  ): FollowStream {
    const stream = new FollowStream(tell);
    upstreams.pool(at.address).dispatch(
      {
        method: 'GET',
        path: `/internal/follow?after=${at.after}`,
        headers: [HEADERS.clusterKey, at.clusterKey, 'accept', 'application/x-ndjson'],
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
    this.controller?.abort(new Ended());
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    if (this.over) controller.abort(new Ended());
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    if (status !== 200) this.fail(`status ${status}`);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0 && !this.over; at = chunk.indexOf(NEWLINE, from)) {
      this.lineEnded(chunk.subarray(from, at));
      from = at + 1;
    }
    if (from === chunk.length || this.over) return;
    this.pending.push(chunk.subarray(from));
    this.pendingBytes += chunk.length - from;
    if (this.pendingBytes > MAX_LINE_BYTES) this.fail('a line is too long');
  }

  onResponseEnd(): void {
    this.ended('the node ended the stream');
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.ended(error.message);
  }

  private lineEnded(tail: Buffer): void {
    const bytes = this.pending.length === 0 ? tail : Buffer.concat([...this.pending, tail]);
    this.pending = [];
    this.pendingBytes = 0;
    if (bytes.length === 0) return;
    const line = parseLine(bytes);
    if (line === undefined) this.fail('a line is not what the contract says');
    else this.tell.line(line);
  }

  private fail(why: string): void {
    if (this.over) return;
    this.close();
    this.tell.end(why);
  }

  private ended(why: string): void {
    if (this.over) return;
    this.over = true;
    this.tell.end(why);
  }
}

function parseLine(bytes: Buffer): FollowLine | undefined {
  try {
    const parsed = FollowLine.safeParse(JSON.parse(bytes.toString('utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined; // not JSON: as little an answer as a line of another shape
  }
}
