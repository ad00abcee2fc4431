import { type Dispatcher, errors } from 'undici';
import { type ErrorCode, HEADERS, Problem } from '#libs/contracts';
import { forClient, forNode } from '../domain/forwarded-headers.js';
import type { Candidate } from '../domain/node-table.js';
import { type BalancingStrategy, chooseNode } from '../domain/rotation.js';
import type { NodeDirectory } from '../nodes/node-directory.js';
import type { Upstreams } from '../nodes/upstreams.js';
import { type Client, problemIn, sendProblem } from './client.js';
import type { ProxyMetrics } from './proxy.metrics.js';

/** What every read needs of the gateway. */
export interface ReadContext {
  directory: NodeDirectory;
  upstreams: Upstreams;
  strategy: BalancingStrategy;
  metrics: ProxyMetrics;
  monotonicMs: () => number;
  clusterKey: string;
}

type AnswerHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** An error body longer than this is none of ours and is passed on unread. */
const HELD_BYTES = 64 * 1024;

class LeftNode extends Error {}
class ClientLeft extends Error {}

/**
 * One read: the answer of a node is passed on as it is, byte for byte. A node that cannot be connected to, or says
 * that it is stopping, costs nothing: the next one is asked. A read that failed after it was sent is repeated once,
 * on another node, and not again: what kills two nodes shall not be given a third.
 */
export class ProxiedRead implements Dispatcher.DispatchHandler {
  private readonly headers: string[];
  private readonly tried: string[] = [];
  private readonly begunMs: number;
  private controller: Dispatcher.DispatchController | undefined;
  private sentMs: number | undefined;
  /** Since when the client has not read what was sent to it. */
  private stalledMs: number | undefined;
  private failedInFlight = false;
  private answering = false;
  private storageAway = false;
  private done = false;
  /** Bytes of the answer that are still to come; negative when it did not say. */
  private remaining = -1;
  /** A 503 is read before it is passed on: a node that is stopping is not the last word. */
  private held: { status: number; headers: AnswerHeaders; chunks: Buffer[]; bytes: number } | undefined;

  constructor(
    private readonly client: Client,
    private readonly options: ReadContext,
    private readonly onDone: () => void,
  ) {
    this.begunMs = options.monotonicMs();
    const { list, requestId } = forNode(client.req.rawHeaders);
    if (requestId === undefined) list.push(HEADERS.requestId, client.requestId);
    // The node is addressed by a name that no client may use.
    list.push(HEADERS.clusterKey, options.clusterKey);
    this.headers = list;
  }

  begin(): void {
    this.client.res.once('close', () => this.clientClosed());
    this.askNext();
  }

  /** The node that has kept this read waiting for so long; each time only once. */
  waitingAt(nowMs: number, forMs: number): string | undefined {
    if (this.answering || this.sentMs === undefined || nowMs - this.sentMs < forMs) return undefined;
    this.sentMs = nowMs;
    return this.tried.at(-1);
  }

  /** Lets go of a client that has read nothing for so long. */
  cutStalled(nowMs: number, forMs: number): void {
    if (this.stalledMs !== undefined && nowMs - this.stalledMs >= forMs) this.client.res.destroy();
  }

  /** Asks elsewhere, if there is a node that answers; else it waits on: a stalled node may be quicker than none. */
  leave(address: string): void {
    if (this.answering || this.held !== undefined || this.tried.at(-1) !== address) return;
    const other = this.choose();
    if (other === undefined || this.options.directory.table.get(other.id)?.answers === false) return;
    this.controller?.abort(new LeftNode());
  }

  // ---- what undici tells ---------------------------------------------------------------------------------------

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    this.sentMs = this.options.monotonicMs();
    if (this.done) controller.abort(new ClientLeft());
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: AnswerHeaders): void {
    if (status < 200) return;
    const term = Number(headers[HEADERS.term]);
    if (term > this.options.directory.leader.term) this.options.directory.heardTerm(term);
    const length = headers['content-length'];
    this.remaining = typeof length === 'string' ? Number(length) : -1;
    if (status === 503 && this.remaining <= HELD_BYTES) this.held = { status, headers, chunks: [], bytes: 0 };
    else this.startAnswer(status, headers);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.held !== undefined) {
      this.hold(chunk);
      return;
    }
    const { res } = this.client;
    if (this.remaining === chunk.length) {
      res.end(chunk); // the end of the answer goes out with its last bytes
      return;
    }
    this.remaining -= chunk.length;
    if (res.write(chunk)) return;
    controller.pause();
    this.stalledMs = this.options.monotonicMs();
    res.once('drain', () => {
      this.stalledMs = undefined;
      controller.resume();
    });
  }

  onResponseEnd(): void {
    if (this.done) return;
    if (this.held !== undefined) {
      this.heldEnded(this.held);
      return;
    }
    if (!this.client.res.writableEnded) this.client.res.end();
    this.finish();
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.done) return;
    if (this.answering) {
      this.client.res.destroy(); // half an answer must not look like a whole one
      this.finish();
    } else if (error instanceof errors.InvalidArgumentError) {
      this.refuse(new Problem('invalid-request', `the request cannot be passed on: ${error.message}`));
    } else {
      this.attemptFailed(error);
    }
  }

  // ---- what becomes of it --------------------------------------------------------------------------------------

  private askNext(): void {
    const { method = 'GET', url = '/' } = this.client.req;
    const node = this.choose();
    if (node === undefined) {
      this.refuse(new Problem('no-available-node', 'no node answered'));
      return;
    }
    this.tried.push(node.address);
    this.controller = undefined;
    this.sentMs = undefined;
    this.options.upstreams
      .pool(node.address)
      // `reset: false`: undici would close the connection after every HEAD, wary of servers that answer it wrongly.
      .dispatch({ method, path: url, headers: this.headers, reset: false }, this);
  }

  private choose(): Candidate | undefined {
    const { directory, strategy } = this.options;
    return chooseNode(directory.tiers(), this.tried, strategy, { target: this.client.req.url ?? '/' });
  }

  private attemptFailed(error: Error): void {
    const address = this.tried.at(-1) ?? '';
    const left = error instanceof LeftNode;
    const inFlight = this.sentMs !== undefined && !left;
    this.held = undefined;
    if (!left) this.options.directory.broke(address, inFlight ? 'reset' : 'refused');
    if (inFlight && this.failedInFlight) {
      this.refuse(new Problem('no-available-node', 'two nodes failed while they had this read'));
      return;
    }
    this.failedInFlight ||= inFlight;
    this.options.metrics.readRetried();
    this.askNext();
  }

  private hold(chunk: Buffer): void {
    const { held } = this;
    if (held === undefined) return;
    held.chunks.push(chunk);
    held.bytes += chunk.length;
    if (held.bytes > HELD_BYTES) this.release(held);
  }

  private heldEnded(held: NonNullable<ProxiedRead['held']>): void {
    if (this.isOneNodesTrouble(problemIn(Buffer.concat(held.chunks))?.code)) {
      this.held = undefined;
      this.options.metrics.readRetried();
      this.askNext();
      return;
    }
    this.release(held);
    this.client.res.end();
    this.finish();
  }

  /** A database that one node cannot reach may be in reach of another: asked once, since usually it is not. */
  private isOneNodesTrouble(code: ErrorCode | undefined): boolean {
    if (code === 'shutting-down') return true;
    if (code !== 'storage-unavailable' || this.storageAway || this.choose() === undefined) return false;
    this.storageAway = true;
    return true;
  }

  private release(held: NonNullable<ProxiedRead['held']>): void {
    this.held = undefined;
    this.remaining = -1;
    this.startAnswer(held.status, held.headers);
    for (const chunk of held.chunks) this.client.res.write(chunk);
  }

  private startAnswer(status: number, headers: AnswerHeaders): void {
    this.answering = true;
    const list = forClient(headers);
    for (const part of this.client.extra) list.push(part);
    this.client.res.writeHead(status, list);
  }

  private refuse(problem: Problem): void {
    sendProblem(this.client, problem);
    this.finish();
  }

  private clientClosed(): void {
    if (this.done) return;
    this.finish();
    this.controller?.abort(new ClientLeft());
  }

  private finish(): void {
    this.done = true;
    this.onDone();
    const seconds = (this.options.monotonicMs() - this.begunMs) / 1_000;
    this.options.metrics.readDone(this.client.res.statusCode, seconds);
  }
}
