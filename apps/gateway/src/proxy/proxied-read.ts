import { errors } from 'undici';
import type { ReadProofs } from '#libs/cluster-auth';
import { HEADERS, Problem } from '#libs/contracts';
import { forClient, forNode } from '../domain/forwarded-headers.js';
import type { Candidate } from '../domain/nodes/candidate.js';
import type { LoadBalancer } from '../domain/nodes/load-balancer.js';
import type { FirstReads } from '../domain/reads/first-reads.js';
import type { Hedging } from '../domain/reads/hedging.js';
import { isLargeAnswer } from '../domain/reads/large-answer.js';
import type { OwnWrites } from '../domain/reads/own-writes.js';
import { type ReadVerdict, readVerdict } from '../domain/reads/read-answer.js';
import type { StreamSlots } from '../domain/reads/stream-slots.js';
import { refusesProof } from '../domain/refused-proof.js';
import type { NodeDirectory } from '../nodes/node-directory.js';
import type { Upstreams } from '../nodes/upstreams.js';
import { AnswerTurn } from './answer-turn.js';
import { type Client, problemIn, sendProblem } from './client.js';
import type { ProxyMetrics } from './proxy.metrics.js';
import { type AnswerHeaders, type AttemptOwner, type HeldAnswer, ReadAttempt } from './read-attempt.js';

/** Where one read may go. */
export interface ReadPlan {
  next: (tried: readonly Candidate[]) => Candidate | undefined;
  /** No node is known to have the version that it demands: it will wait for it. */
  isWaiting: boolean;
}

/** What every read needs of the gateway. */
export interface ReadContext {
  directory: NodeDirectory;
  upstreams: Upstreams;
  balancer: LoadBalancer;
  hedging: Hedging;
  ownWrites: OwnWrites;
  firstReads: FirstReads;
  metrics: ProxyMetrics;
  monotonicMs: () => number;
  proofs: ReadProofs;
  largeAnswers: StreamSlots<AnswerTurn>;
}

/**
 * One read: the answer of a node is passed on as it is, byte for byte. A node that cannot be connected to costs
 * nothing: the next one is asked. A read that failed after it was sent is repeated once, on another node, and not
 * again: what kills two nodes shall not be given a third. A repetition goes where there is reason to hope, or is paid
 * for from the retry budget.
 */
export class ProxiedRead implements AttemptOwner {
  private readonly headers: string[];
  private readonly tried: Candidate[] = [];
  private readonly begunMs: number;
  private attempt: ReadAttempt | undefined;
  /** The other one of two that are under way. */
  private rival: ReadAttempt | undefined;
  private hedgeTimer: NodeJS.Timeout | undefined;
  /** When the node that is waited for was last doubted, or else asked. */
  private waitingSinceMs: number | undefined;
  /** Since when the client has not read what was sent to it. */
  private stalledMs: number | undefined;
  private failedInFlight = false;
  private storageAway = false;
  private answering = false;
  /** Of a large answer. */
  private turn: AnswerTurn | undefined;
  private status = 0;
  private done = false;
  /** Bytes of the answer that are still to come; negative when it did not say. */
  private remaining = -1;

  constructor(
    private readonly client: Client,
    private readonly plan: ReadPlan,
    private readonly options: ReadContext,
    private readonly onDone: () => void,
  ) {
    this.begunMs = options.monotonicMs();
    const { list, requestId } = forNode(client.req.rawHeaders);
    if (requestId === undefined) list.push(HEADERS.requestId, client.requestId);
    // The proof for the node that is asked takes its place here.
    list.push(HEADERS.signature, '');
    this.headers = list;
  }

  begin(node: Candidate | undefined): void {
    this.client.res.once('close', () => this.finish()); // the client left, if it comes before the answer's end
    this.ask(node);
    const delayMs = this.options.hedging.delayMs;
    if (delayMs !== undefined && !this.done) this.hedgeTimer = setTimeout(() => this.hedge(), delayMs);
  }

  /** The node that has kept this read waiting for so long; each time only once. */
  waitingAt(nowMs: number, forMs: number): string | undefined {
    const { attempt } = this;
    if (this.answering || attempt?.sentMs === undefined) return undefined;
    if (nowMs - Math.max(attempt.sentMs, this.waitingSinceMs ?? 0) < forMs) return undefined;
    this.waitingSinceMs = nowMs;
    return attempt.node.address;
  }

  /** Lets go of a client that has read nothing for so long. */
  cutStalled(nowMs: number, forMs: number): void {
    if (this.stalledMs !== undefined && nowMs - this.stalledMs >= forMs) this.client.res.destroy();
  }

  /** Asks elsewhere, if there is a node that answers; else it waits on: a stalled node may be quicker than none. */
  leave(address: string): void {
    if (this.answering) return;
    if (this.rival?.node.address === address) this.dropRival(this.rival);
    const { attempt } = this;
    if (attempt?.node.address !== address || !attempt.underWay) return;
    const next = this.rival === undefined ? this.choose() : undefined;
    if (this.rival === undefined && !this.mayGoTo(next)) return;
    attempt.abandon();
    if (attempt.sentMs !== undefined) this.note(attempt.node, 'failing');
    if (!this.dropRival(attempt)) this.askAgain(next);
  }

  // ---- what an attempt tells -----------------------------------------------------------------------------------

  answerBegan(attempt: ReadAttempt, status: number, headers: AnswerHeaders): void {
    if (this.rival !== undefined) this.decideFor(attempt);
    this.options.hedging.answeredAfter(this.options.monotonicMs() - this.begunMs);
    const version = Number(headers[HEADERS.version]);
    if (version > attempt.node.version) attempt.node.version = version;
    this.startAnswer(status, headers);
    if (!isLargeAnswer(this.client.req.method, status, this.remaining)) return;
    const { largeAnswers, monotonicMs } = this.options;
    this.turn = new AnswerTurn(largeAnswers, () => attempt.resume(), monotonicMs);
    if (!this.turn.ask()) attempt.pause();
  }

  /** A node that stalls in the middle of a large answer must not hold up those of others. */
  yieldTurn(nowMs: number, forMs: number): void {
    this.turn?.yieldIfIdle(nowMs, forMs);
  }

  answerData(attempt: ReadAttempt, chunk: Buffer): void {
    const { res } = this.client;
    if (this.remaining === chunk.length) {
      res.end(chunk); // the end of the answer goes out with its last bytes
      return;
    }
    this.remaining -= chunk.length;
    const { turn } = this;
    if (res.write(chunk)) {
      // Its turn may have been given back while its node stalled.
      if (turn?.ask() === false) attempt.pause();
      return;
    }
    attempt.pause();
    turn?.giveBack();
    this.stalledMs = this.options.monotonicMs();
    res.once('drain', () => {
      this.stalledMs = undefined;
      if (turn?.ask() !== false) attempt.resume();
    });
  }

  answerEnded(attempt: ReadAttempt): void {
    if (this.done) return;
    this.note(attempt.node, readVerdict(this.status, undefined));
    if (!this.client.res.writableEnded) this.client.res.end();
    this.finish();
  }

  answerHeld(attempt: ReadAttempt, held: HeldAnswer): void {
    const problem = problemIn(held.body);
    const verdict = refusesProof(problem) ? 'foreign' : readVerdict(held.status, problem?.code);
    this.note(attempt.node, verdict);
    if (this.dropRival(attempt)) return;
    const mayBeElsewhere = verdict === 'stopping' || verdict === 'elsewhere' || verdict === 'foreign';
    const next = mayBeElsewhere ? this.choose() : undefined;
    if (next !== undefined && this.mayRepeat(verdict, next)) {
      this.askAgain(next);
      return;
    }
    if (verdict === 'stopping') {
      this.refuse(new Problem('no-available-node', 'the nodes that were asked are stopping'));
      return;
    }
    if (verdict === 'foreign') {
      this.refuse(new Problem('no-available-node', 'the nodes that were asked refuse this gateway'));
      return;
    }
    this.startAnswer(held.status, held.headers);
    this.client.res.end(held.body);
    this.finish();
  }

  attemptBroke(attempt: ReadAttempt, error: Error): void {
    if (this.done) return;
    if (error instanceof errors.InvalidArgumentError) {
      this.refuse(new Problem('invalid-request', `the request cannot be passed on: ${error.message}`));
      return;
    }
    const inFlight = attempt.sentMs !== undefined;
    this.note(attempt.node, 'failing');
    this.options.directory.broke(attempt.node.address, inFlight ? 'reset' : 'refused');
    if (this.answering) {
      this.client.res.destroy(); // half an answer must not look like a whole one
      this.finish();
    } else if (!this.dropRival(attempt)) this.afterFailure(inFlight);
  }

  // ---- what becomes of it --------------------------------------------------------------------------------------

  private ask(node: Candidate | undefined): void {
    if (node === undefined) {
      this.refuse(new Problem('no-available-node', 'no node answered'));
      return;
    }
    this.attempt = this.attemptAt(node);
    this.send(this.attempt);
  }

  private attemptAt(node: Candidate): ReadAttempt {
    this.tried.push(node);
    return new ReadAttempt(node, this, this.options.balancer, this.options.monotonicMs);
  }

  /** What comes of it may come at once. */
  private send(attempt: ReadAttempt): void {
    const { method = 'GET', url = '/' } = this.client.req;
    // `reset: false`: undici would close the connection after every HEAD, wary of servers that answer it wrongly.
    const { upstreams, proofs } = this.options;
    const { address } = attempt.node;
    const { headers } = this;
    // The node is addressed by a name that no client may use.
    headers[headers.length - 1] = proofs.at(address);
    const pool = this.plan.isWaiting ? upstreams.waitingPool(address) : upstreams.pool(address);
    attempt.begin(pool, { method, path: url, headers, reset: false });
  }

  private askAgain(node: Candidate | undefined): void {
    this.options.metrics.readRetried();
    this.ask(node);
  }

  private afterFailure(inFlight: boolean): void {
    if (inFlight && this.failedInFlight) {
      this.refuse(new Problem('no-available-node', 'two nodes failed while they had this read'));
      return;
    }
    this.failedInFlight ||= inFlight;
    const next = this.choose();
    if (inFlight && next !== undefined && !this.options.balancer.mayRetry(next)) {
      this.refuse(new Problem('no-available-node', 'all nodes fail: the read was not repeated'));
    } else this.askAgain(next);
  }

  private choose(): Candidate | undefined {
    return this.plan.next(this.tried);
  }

  /** A database that one node cannot reach may be in reach of another: asked once, since usually it is not. */
  private mayRepeat(verdict: ReadVerdict, next: Candidate): boolean {
    const { balancer, monotonicMs } = this.options;
    if (verdict === 'stopping' || verdict === 'foreign') return balancer.mayRetry(next);
    if (this.storageAway || !balancer.hasStorage(next, monotonicMs())) return false;
    this.storageAway = true;
    return true;
  }

  private mayGoTo(node: Candidate | undefined): boolean {
    if (node === undefined || !this.options.balancer.mayRetry(node)) return false;
    return this.options.directory.table.get(node.id)?.answers !== false;
  }

  private note(node: Candidate, verdict: ReadVerdict): void {
    const { balancer, monotonicMs } = this.options;
    if (verdict === 'good') balancer.succeeded(node);
    else if (verdict === 'elsewhere') balancer.storageAway(node, monotonicMs());
    else if (verdict !== 'indifferent') balancer.failed(node, monotonicMs());
  }

  private hedge(): void {
    const { balancer, hedging, metrics } = this.options;
    if (this.done || this.answering || this.attempt?.sentMs === undefined) return;
    if (!balancer.allowsExtra || !hedging.mayBegin(balancer.active)) return;
    const node = this.choose();
    if (!this.mayGoTo(node) || node === undefined) return;
    hedging.began();
    metrics.readHedged();
    this.rival = this.attemptAt(node);
    this.send(this.rival);
  }

  /** Of two attempts this one is the answer. */
  private decideFor(attempt: ReadAttempt): void {
    const { rival, attempt: first } = this;
    if (rival === undefined) return;
    (attempt === rival ? first : rival)?.abandon();
    this.attempt = attempt;
    this.rival = undefined;
    this.options.hedging.ended();
  }

  /** One attempt came to nothing. @returns whether another is still under way */
  private dropRival(failed: ReadAttempt): boolean {
    if (this.rival === undefined) return false;
    const other = failed === this.rival ? this.attempt : this.rival;
    failed.abandon();
    this.attempt = other;
    this.rival = undefined;
    this.options.hedging.ended();
    return true;
  }

  private startAnswer(status: number, headers: AnswerHeaders): void {
    const { directory } = this.options;
    const term = Number(headers[HEADERS.term]);
    if (term > directory.leader.term) directory.heardTerm(term);
    const length = headers['content-length'];
    this.remaining = typeof length === 'string' ? Number(length) : -1;
    this.answering = true;
    this.status = status;
    const list = forClient(headers);
    for (const part of this.client.extra) list.push(part);
    this.client.res.writeHead(status, list);
  }

  private refuse(problem: Problem): void {
    sendProblem(this.client, problem);
    this.finish();
  }

  private finish(): void {
    if (this.done) return;
    this.done = true;
    clearTimeout(this.hedgeTimer);
    this.turn?.end();
    this.attempt?.abandon();
    if (this.rival !== undefined) this.dropRival(this.rival);
    this.onDone();
    const seconds = (this.options.monotonicMs() - this.begunMs) / 1_000;
    this.options.metrics.readDone(this.client.res.statusCode, seconds);
  }
}
