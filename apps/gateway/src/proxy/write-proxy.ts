import { randomUUID } from 'node:crypto';
import { errors } from 'undici';
import { RequestSigner } from '#libs/cluster-auth';
import { HEADERS, Problem } from '#libs/contracts';
import { invariant, secretMatcher } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import { forClient, forNode } from '../domain/forwarded-headers.js';
import type { LoadBalancer } from '../domain/nodes/load-balancer.js';
import type { OwnWrites } from '../domain/reads/own-writes.js';
import { refusesProof } from '../domain/refused-proof.js';
import { committedKeys } from '../domain/writes/committed-keys.js';
import { readWriteAnswer } from '../domain/writes/write-answer.js';
import type { WriteParking } from '../domain/writes/write-parking.js';
import type { LeaderTarget, ParkingAction, ParkingInput } from '../domain/writes/write-parking.types.js';
import type { NodeDirectory } from '../nodes/node-directory.js';
import type { Upstreams } from '../nodes/upstreams.js';
import { type Client, isGone, sendProblem } from './client.js';
import type { ProxyMetrics } from './proxy.metrics.js';
import { TaskQueue } from './task-queue.js';
import { WriteAttempt, type WriteReply } from './write-attempt.js';
import { WriteBodies } from './write-bodies.js';

export interface WriteProxyOptions {
  directory: NodeDirectory;
  upstreams: Upstreams;
  parking: WriteParking;
  balancer: LoadBalancer;
  ownWrites: OwnWrites;
  metrics: ProxyMetrics;
  clusterKey: string;
  monotonicMs: () => number;
  logger: Logger;
}

interface HeldWrite {
  client: Client;
  headers: readonly string[];
  body: Buffer;
  bodyHash: Buffer;
  idempotencyKey: string;
  ownKey: boolean;
  begunMs: number;
  attempts: number;
  attempt: WriteAttempt | undefined;
  reply: WriteReply | undefined;
}

/** Sends writes to the leader as the parking decides, and gives clients what it says they may be told. */
export class WriteProxy {
  private readonly writes = new Map<number, HeldWrite>();
  private readonly bodies = new WriteBodies();
  private readonly tasks = new TaskQueue(() => {
    this.watchParked();
    this.schedule();
  });
  private readonly isClusterKey: (given: string) => boolean;
  private readonly signer: RequestSigner;
  private nextId = 1;
  private timer: NodeJS.Timeout | undefined;
  private target: LeaderTarget | null = null;
  private parkedSinceMs: number | undefined;

  constructor(private readonly options: WriteProxyOptions) {
    const { directory, parking, metrics } = options;
    this.isClusterKey = secretMatcher(options.clusterKey);
    this.signer = new RequestSigner(options.clusterKey);
    directory.on({ leader: (target) => this.retarget(target) });
    metrics.watchWrites(
      () => parking.held.writes,
      () => parking.parked.writes,
    );
  }

  get parked(): number {
    return this.options.parking.parked.writes;
  }

  get size(): number {
    return this.writes.size;
  }

  handle(client: Client): void {
    this.bodies.take(client, (body, hash) => this.arrived(client, body, hash));
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private arrived(client: Client, body: Buffer, bodyHash: Buffer): void {
    const nowMs = this.options.monotonicMs();
    const { list, requestId, idempotencyKey, clusterKey } = forNode(client.req.rawHeaders);
    if (requestId === undefined) list.push(HEADERS.requestId, client.requestId);
    const ownKey = idempotencyKey === undefined;
    const key = idempotencyKey ?? randomUUID();
    if (ownKey) list.push(HEADERS.idempotencyKey, key);
    if (clusterKey !== undefined && this.isClusterKey(clusterKey)) list.push(HEADERS.operator, '1');
    const id = this.nextId++;
    this.writes.set(id, {
      client,
      headers: list,
      body,
      bodyHash,
      idempotencyKey: key,
      ownKey,
      begunMs: nowMs,
      attempts: 0,
      attempt: undefined,
      reply: undefined,
    });
    client.res.once('close', () => this.tasks.enqueue(() => this.left(id)));
    this.step({ type: 'arrived', id, sizeBytes: body.length, ownKey, nowMs });
  }

  private retarget(target: LeaderTarget | null): void {
    const { logger, monotonicMs } = this.options;
    const { parked } = this;
    if (target?.term !== this.target?.term) {
      if (target === null) logger.info({ parked }, 'no leader known: writes are parked');
      else logger.info({ ...target, parked }, 'leader changed: writes go to it');
    }
    this.target = target;
    this.step({ type: 'target', target, nowMs: monotonicMs() });
  }

  private left(id: number): void {
    if (!this.writes.has(id)) return;
    this.decide({ type: 'left', id, nowMs: this.options.monotonicMs() });
    this.forget(id, 'client-left');
  }

  private step(input: ParkingInput): void {
    this.tasks.enqueue(() => this.decide(input));
  }

  private watchParked(): void {
    const nowMs = this.options.monotonicMs();
    if (this.parked > 0) this.parkedSinceMs ??= nowMs;
    else if (this.parkedSinceMs !== undefined) {
      const waitedMs = Math.round(nowMs - this.parkedSinceMs);
      this.parkedSinceMs = undefined;
      this.options.logger.info({ waitedMs }, 'parked writes were sent: none waits for a leader');
    }
  }

  private decide(input: ParkingInput): void {
    for (const action of this.options.parking.handle(input)) this.carryOut(action);
  }

  private carryOut(action: ParkingAction): void {
    const write = this.writes.get(action.id);
    invariant(write !== undefined, `write ${action.id} is not held`);
    switch (action.do) {
      case 'send': {
        const { term, address } = action.target;
        this.attempt(action.id, write, address, attemptHeaders(term, action.fresh));
        break;
      }
      case 'forward':
        this.forward(action.id, write, action.term, action.fresh);
        break;
      case 'abort':
        write.attempt?.abandon();
        write.attempt = undefined;
        break;
      case 'pass':
        this.pass(action.id, write);
        break;
      case 'refuse':
        this.refuse(action.id, write, new Problem(action.code, action.why));
        break;
    }
  }

  private forward(id: number, write: HeldWrite, term: number, fresh: boolean): void {
    const { directory, balancer, monotonicMs } = this.options;
    const leader = directory.table.candidateAt(directory.target?.address);
    const tried = leader === undefined ? [] : [leader];
    const node = balancer.choose(write.client.req.url ?? '/', tried, monotonicMs());
    if (node === undefined) {
      this.tasks.enqueue(() => {
        if (this.writes.has(id))
          this.decide({ type: 'broke', id, sent: false, nowMs: this.options.monotonicMs() });
      });
    } else this.attempt(id, write, node.address, [...attemptHeaders(term, fresh), HEADERS.forward, '1']);
  }

  private attempt(id: number, write: HeldWrite, address: string, more: readonly string[]): void {
    if (write.attempts++ > 0) this.options.metrics.writeRetried();
    const { method = 'PUT', url = '/' } = write.client.req;
    const node = this.options.directory.table.candidateAt(address);
    if (node !== undefined) this.options.balancer.sent(node);
    const attempt = new WriteAttempt({
      over: () => {
        if (node !== undefined) this.options.balancer.over(node);
      },
      answered: (reply) =>
        this.tasks.enqueue(() => {
          if (this.isOver(write, attempt)) return;
          this.answered(id, write, address, reply);
        }),
      broke: (sent, error) =>
        this.tasks.enqueue(() => {
          if (this.isOver(write, attempt)) return;
          this.broke(id, write, address, sent, error);
        }),
    });
    write.attempt = attempt;
    const headers = [...write.headers, ...more];
    headers.push(HEADERS.signature, this.signer.sign(address, url, { method, headers }, write.bodyHash));
    this.options.upstreams
      .pool(address)
      .dispatch({ method, path: url, headers, body: write.body, reset: false }, attempt);
  }

  /** Whether something was decided about the write since its attempt had this to report; if not, the attempt ends now. */
  private isOver(write: HeldWrite, attempt: WriteAttempt): boolean {
    if (write.attempt !== attempt) return true;
    write.attempt = undefined;
    return false;
  }

  private answered(id: number, write: HeldWrite, address: string, reply: WriteReply): void {
    const { directory, monotonicMs } = this.options;
    write.reply = reply;
    if (refusesProof(reply.problem)) {
      this.options.logger.warn(
        { address, reason: reply.problem?.members.reason },
        `a node refused a write of this gateway, which waits for another leader: ${reply.problem?.detail}`,
      );
      this.decide({ type: 'answered', id, answer: 'not-now', nowMs: monotonicMs() });
      return;
    }
    const named = reply.problem?.members.leaderTerm;
    const term = typeof named === 'number' ? named : Number(reply.headers[HEADERS.term] ?? 0);
    const leader = reply.problem?.code === 'not-leader' ? reply.problem.members.leader : undefined;
    if (typeof leader === 'string' && leader !== address) directory.redirected(term, leader);
    else directory.heardTerm(term);
    if (reply.status < 300) {
      directory.committed(term, Number(reply.headers[HEADERS.version] ?? 0));
      this.remember(reply.body, term);
    }
    const answer = readWriteAnswer(reply.status, reply.problem?.code);
    this.decide({ type: 'answered', id, answer, nowMs: monotonicMs() });
  }

  /** So that whoever reads through this gateway next sees what it has acknowledged. */
  private remember(body: Buffer, term: number): void {
    const { ownWrites, directory, monotonicMs } = this.options;
    const nowMs = monotonicMs();
    for (const { namespace, key, version } of committedKeys(body)) {
      directory.committed(term, version);
      ownWrites.committed(namespace, key, version, nowMs);
    }
  }

  private broke(id: number, write: HeldWrite, address: string, sent: boolean, error: Error): void {
    const nowMs = this.options.monotonicMs();
    if (error instanceof errors.InvalidArgumentError) {
      this.decide({ type: 'left', id, nowMs });
      const problem = new Problem('invalid-request', `the request cannot be passed on: ${error.message}`);
      this.refuse(id, write, problem);
      return;
    }
    this.options.directory.broke(address, sent ? 'reset' : 'refused');
    this.decide({ type: 'broke', id, sent, nowMs });
  }

  private pass(id: number, write: HeldWrite): void {
    const { reply, client } = write;
    invariant(reply !== undefined, `write ${id} has no answer to pass on`);
    if (!isGone(client)) {
      const list = forClient(reply.headers);
      list.push(...client.extra);
      if (reply.status === 504) list.push(...this.keyFor(write));
      client.res.writeHead(reply.status, list);
      client.res.end(reply.body);
    }
    this.forget(id, String(reply.status));
  }

  private refuse(id: number, write: HeldWrite, problem: Problem): void {
    if (!isGone(write.client)) {
      sendProblem(write.client, problem, problem.status === 504 ? this.keyFor(write) : []);
    }
    this.forget(id, problem.code);
  }

  /** Who gave no key learns the one under which the write can be repeated. */
  private keyFor(write: HeldWrite): string[] {
    return write.ownKey ? [HEADERS.idempotencyKey, write.idempotencyKey] : [];
  }

  private forget(id: number, outcome: string): void {
    const write = this.writes.get(id);
    if (write === undefined) return;
    this.writes.delete(id);
    this.options.metrics.writeDone(outcome, (this.options.monotonicMs() - write.begunMs) / 1_000);
  }

  private schedule(): void {
    const inMs = this.options.parking.tickWithinMs();
    if (inMs === undefined || this.timer !== undefined) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.step({ type: 'tick', nowMs: this.options.monotonicMs() });
    }, inMs);
  }
}

function attemptHeaders(term: number, fresh: boolean): string[] {
  const headers = [HEADERS.aimTerm, String(term)];
  if (fresh) headers.push(HEADERS.attempt, '1');
  return headers;
}
