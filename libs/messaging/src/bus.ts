import { createInbox, headers, type Msg, type MsgHdrs, nuid } from '@nats-io/transport-node';
import type { ZodType, z } from 'zod';
import {
  EVENT_FAMILIES,
  EVENTS,
  type EventPayload,
  type EventSubject,
  isPlausibleIncarnation,
  memberMayPublish,
  memberMayRequest,
  namespaceToken,
  Problem,
  REQUESTS,
  type ReplyPayload,
  type RequestPayload,
  type RequestSubject,
} from '#libs/contracts';
import {
  type Clock,
  crashOnDefect,
  deferred,
  invariant,
  type Rng,
  systemClock,
  systemRng,
} from '#libs/kernel';
import { BusError } from './bus-error.js';
import { BusConnection, type BusLogger, type ConnectionSettings, INBOX_PREFIX } from './connection.js';
import { Envelope, type WireMessage } from './envelope.js';
import { RateLimit } from './rate-limit.js';
import { busErrorFrom, isInboxOf, readReply } from './reply.js';
import { Sampler } from './sampler.js';
import {
  cloudEventHeaders,
  decodeJson,
  encodeProblem,
  isSubjectToken,
  WIRE_HEADERS,
  withToken,
} from './wire.js';

export interface BusOptions extends ConnectionSettings {
  /** Of the cluster: what is sent carries a MAC under a key derived from it, and what is heard must. */
  clusterKey: string;
  /** Before every subject, so that clusters can share a bus; '' by default. */
  subjectPrefix?: string;
  logger: BusLogger;
  clock?: Clock;
  rng?: Rng;
}

export type FactFamily = keyof typeof EVENT_FAMILIES;
export type FamilyPayload<F extends FactFamily> = z.output<(typeof EVENT_FAMILIES)[F]['schema']>;

/** What a handler of a question is given: the request with its defaults filled in. */
export type AskedRequest<S extends RequestSubject> = z.output<(typeof REQUESTS)[S]['request']>;

/** Whose word a message is: a process of this cluster proved itself; a member is whoever may publish on the bus. */
export type Speaker = 'cluster' | 'member';

/** Of a frequent fact only some are verified and parsed: so many a second, and all that contain the text. */
export interface SampleOptions {
  perSecond: number;
  always: string;
}

export interface BusCounts {
  published: number;
  /** Not sent: no connection, or too large. */
  unsent: number;
  received: number;
  /** Dropped because they are not what the contract says. */
  invalid: number;
  /** Dropped because they carry no valid MAC of this cluster. */
  forged: number;
  /** Said by members, of no interest here. */
  ignored: number;
  /** Left unread, as one of too many of a kind of which some suffice. */
  unsampled: number;
  /** A subscriber threw. */
  failed: number;
}

/** A process that starts without a bus waits this long for its subscriptions, then goes on without them. */
const SUBSCRIBED_WITHIN_MS = 1_000;

/** Requests that one subject works on at once; what is more is answered `cluster-busy`. */
const MAX_CONCURRENT_QUESTIONS = 1_000;

/**
 * Typed news and questions over NATS. Nothing here is needed for correctness: messages may be lost, doubled or late,
 * and every receiver applies only what is greater than what it has. Nothing waits for the bus to come back.
 */
export class Bus {
  readonly counts: BusCounts = {
    ...{ published: 0, unsent: 0, received: 0 },
    ...{ invalid: 0, forged: 0, ignored: 0, unsampled: 0, failed: 0 },
  };
  private readonly complaints: RateLimit;

  private constructor(
    private readonly link: BusConnection,
    private readonly envelope: Envelope,
    private readonly logger: BusLogger,
    private readonly clock: Clock,
  ) {
    this.complaints = new RateLimit(1_000, clock);
  }

  /** Returns at once, connected or not; the connection is sought for ever. */
  static connect(options: BusOptions): Bus {
    const { logger, clock = systemClock, rng = systemRng } = options;
    const envelope = new Envelope(options.clusterKey, options.subjectPrefix ?? '');
    return new Bus(new BusConnection(options, logger, rng, clock), envelope, logger, clock);
  }

  get connected(): boolean {
    return this.link.current !== undefined;
  }

  /** Whether silence proves anything: connected, and the server answered within the last 750 ms. */
  get responsive(): boolean {
    return this.link.responsive;
  }

  /** The live connection, for what only the client library can do (JetStream); undefined while away. */
  get connection() {
    return this.link.current;
  }

  /** How the subjects of this cluster stand on the bus. */
  get space() {
    return this.envelope.space;
  }

  get name(): string {
    return this.link.settings.name;
  }

  onStatus(listener: (connected: boolean) => void): () => void {
    return this.link.onStatus(listener);
  }

  /** True when handed to the connection, false when not sent. With an `id` the stream of facts keeps it once. */
  publish<S extends EventSubject>(
    subject: S,
    payload: EventPayload<S>,
    options: { id?: string } = {},
  ): boolean {
    return this.send(subject, subject, payload, options.id);
  }

  /** The dots of a token (a namespace has some) are written `=`. */
  publishFamily<F extends FactFamily>(
    family: F,
    token: string,
    payload: FamilyPayload<F>,
    options: { id?: string } = {},
  ): boolean {
    const safe = namespaceToken(token);
    if (!isSubjectToken(safe)) {
      this.counts.unsent++;
      return false;
    }
    return this.send(withToken(family, safe), family, payload, options.id);
  }

  /** A fact as `publish` sends it; `type` is its family, or the subject itself. */
  sealFact(subject: string, type: string, payload: unknown, id: string | undefined) {
    const body = Buffer.from(JSON.stringify(payload));
    const sealed = this.envelope.seal({ kind: 'fact', subject }, body, this.eventHeaders(type, id));
    return { subject: this.space.wire(subject), body, headers: sealed };
  }

  /** Whether a process of this cluster published the fact; what is not so is counted, and is to be dropped. */
  isAuthentic(message: WireMessage): boolean {
    const origin = this.envelope.originOf('fact', message);
    if (origin !== 'cluster') this.dropForged(message.subject, origin);
    return origin === 'cluster';
  }

  private eventHeaders(type: string, id: string | undefined): MsgHdrs {
    const result = headers();
    const time = new Date(this.clock.wallMs()).toISOString();
    const event = { id: id ?? nuid.next(), subject: type, source: this.name, time };
    for (const [name, value] of cloudEventHeaders(event)) result.set(name, value);
    if (id !== undefined) result.set(WIRE_HEADERS.messageId, id);
    return result;
  }

  /** Facts of processes of this cluster; with `members` also what members may say, which is theirs alone. */
  subscribe<S extends EventSubject>(
    subject: S,
    handler: (payload: EventPayload<S>, speaker: Speaker) => void | Promise<void>,
    options: { queue?: string; members?: boolean; sample?: SampleOptions } = {},
  ): () => void {
    const schema: ZodType = EVENTS[subject].schema;
    const heard = (payload: unknown, speaker: Speaker) => handler(payload as EventPayload<S>, speaker);
    const { sample } = options;
    const sampler = sample && new Sampler(sample.perSecond, this.clock, systemRng);
    return this.link.subscribe(this.space.wire(subject), options.queue, (message) => {
      if (sampler && !sampler.admits() && !contains(message.data, sample.always)) {
        this.counts.unsampled++;
        return;
      }
      const speaker = this.speakerOf(message, memberMayPublish(subject));
      if (speaker === 'member' && !options.members) this.counts.ignored++;
      else if (speaker !== undefined) this.deliver(message, speaker, schema, heard);
    });
  }

  /** Every member of a family, or with `token` only those that have it. */
  subscribeFamily<F extends FactFamily>(
    family: F,
    handler: (payload: FamilyPayload<F>) => void | Promise<void>,
    options: { queue?: string; token?: string } = {},
  ): () => void {
    const schema: ZodType = EVENT_FAMILIES[family].schema;
    const token = options.token === undefined ? '*' : namespaceToken(options.token);
    const heard = (payload: unknown) => handler(payload as FamilyPayload<F>);
    return this.link.subscribe(this.space.wire(`${family}.${token}`), options.queue, (message) => {
      const speaker = this.speakerOf(message, false);
      if (speaker !== undefined) this.deliver(message, speaker, schema, heard);
    });
  }

  /** Asks one responder. Rejects with a BusError, or with the Problem that the responder answered. */
  async request<S extends RequestSubject>(
    subject: S,
    payload: RequestPayload<S>,
    options: { timeoutMs: number; token?: string },
  ): Promise<ReplyPayload<S>> {
    const nc = this.link.current;
    if (!nc) throw new BusError('disconnected', subject);
    const question = this.sealRequest(subject, options.token, payload);
    let message: Msg;
    try {
      message = await nc.request(question.address, question.body, {
        timeout: Math.max(1, options.timeoutMs),
        headers: question.headers,
      });
    } catch (error) {
      throw busErrorFrom(error, subject, nc.isClosed());
    }
    return this.open(subject, question.subject, message);
  }

  /**
   * Asks everyone who listens and gives what came within `waitMs`, sooner when `enough` says so or nobody listens.
   * Replies that are errors or not what the contract says are left out.
   */
  async requestMany<S extends RequestSubject>(
    subject: S,
    payload: RequestPayload<S>,
    options: { waitMs: number; token?: string; enough?: (replies: readonly ReplyPayload<S>[]) => boolean },
  ): Promise<ReplyPayload<S>[]> {
    const replies: ReplyPayload<S>[] = [];
    const inbox = createInbox(INBOX_PREFIX);
    const question = this.sealRequest(subject, options.token, payload);
    const done = deferred<void>();
    const unsubscribe = this.link.subscribe(inbox, undefined, (message) => {
      if (message.headers?.code === 503) return done.resolve();
      try {
        replies.push(this.open(subject, question.subject, message));
      } catch (error) {
        crashOnDefect(error);
        this.logger.debug({ error, subject }, 'a reply was left out');
      }
      if (options.enough?.(replies)) done.resolve();
    });
    const timer = setTimeout(() => done.resolve(), options.waitMs);
    try {
      const sent = this.link.send(question.address, question.body, question.headers, inbox);
      if (!sent) throw new BusError('disconnected', subject);
      await done.promise;
    } finally {
      clearTimeout(timer);
      unsubscribe();
    }
    return replies;
  }

  /** Answers a question. A Problem thrown by the handler is the answer; anything else becomes `internal`. */
  handle<S extends RequestSubject>(
    subject: S,
    handler: (request: AskedRequest<S>, speaker: Speaker) => Promise<ReplyPayload<S>> | ReplyPayload<S>,
    options: { queue?: string; token?: string } = {},
  ): () => void {
    const schema: ZodType = REQUESTS[subject].request;
    let working = 0;
    return this.link.subscribe(this.address(subject, options.token), options.queue, (message) => {
      this.counts.received++;
      const speaker = this.speakerOf(message, memberMayRequest(subject), 'request');
      if (speaker === undefined || !this.mayBeAnswered(message, speaker)) return;
      if (working >= MAX_CONCURRENT_QUESTIONS) {
        return this.refuse(message, new Problem('cluster-busy', `too many ${subject} at once`));
      }
      const request = this.parse(message, schema);
      if (!request.ok) return this.refuse(message, new Problem('invalid-request', request.fault));
      working++;
      // Both outcomes are handled inside; nothing is left to reject.
      void this.answer(subject, message, async () =>
        handler(request.value as AskedRequest<S>, speaker),
      ).finally(() => {
        working--;
      });
    });
  }

  /**
   * Resolves to true when the server has every subscription and handler made so far, so that nothing published from
   * then on is missed; false when it does not confirm them within `waitMs`: they are made again on each connection.
   */
  subscribed(waitMs = SUBSCRIBED_WITHIN_MS): Promise<boolean> {
    return this.link.subscribed(waitMs);
  }

  async flush(): Promise<void> {
    await this.link.current?.flush();
  }

  close(): Promise<void> {
    return this.link.close();
  }

  private address(subject: string, token: string | undefined): string {
    invariant(token === undefined || isSubjectToken(token), `not a subject token: ${token}`);
    return this.space.wire(withToken(subject, token));
  }

  private sealRequest(subject: string, token: string | undefined, payload: unknown) {
    const body = Buffer.from(JSON.stringify(payload));
    const plain = withToken(subject, token);
    const sealed = this.envelope.seal({ kind: 'request', subject: plain }, body);
    return { address: this.address(subject, token), subject: plain, body, headers: sealed };
  }

  /** Undefined: neither of this cluster nor of a member that may say this; it is dropped. */
  private speakerOf(
    message: Msg,
    mayBeMember: boolean,
    kind: 'fact' | 'request' = 'fact',
  ): Speaker | undefined {
    const origin = this.envelope.originOf(kind, message);
    if (origin === 'cluster' || (origin === 'member' && mayBeMember)) return origin;
    this.dropForged(message.subject, origin);
    return undefined;
  }

  /** False: the reply would go to a subject that is no inbox of the speaker's; the request is dropped. */
  private mayBeAnswered({ subject, reply }: Msg, speaker: Speaker): boolean {
    if (!reply || isInboxOf(speaker, reply)) return true;
    this.counts.forged++;
    const complaint = this.complaints.admit(`inbox ${subject}`);
    if (complaint) {
      this.logger.warn({ subject, reply, ...complaint }, 'dropped a request whose reply subject is no inbox');
    }
    return false;
  }

  private dropForged(subject: string, origin: 'member' | 'forged'): void {
    this.counts.forged++;
    const complaint = this.complaints.admit(`forged ${subject}`);
    if (complaint) {
      const fault = origin === 'member' ? 'no MAC' : 'wrong MAC';
      this.logger.warn({ subject, fault, ...complaint }, 'dropped a message without a valid MAC');
    }
  }

  /** The reply, when it is of this cluster and to this very request. */
  private open<S extends RequestSubject>(subject: S, asked: string, message: Msg): ReplyPayload<S> {
    const origin = this.envelope.originOfReply(asked, message);
    if (origin === 'cluster') return readReply(subject, message);
    this.dropForged(`reply to ${asked}`, origin);
    throw new BusError('invalid', subject);
  }

  private send(subject: string, type: string, payload: unknown, id: string | undefined): boolean {
    if (!this.connected) {
      this.counts.unsent++;
      return false;
    }
    const fact = this.sealFact(subject, type, payload, id);
    const sent = this.link.send(fact.subject, fact.body, fact.headers);
    if (sent) this.counts.published++;
    else this.counts.unsent++;
    return sent;
  }

  private deliver(
    message: Msg,
    speaker: Speaker,
    schema: ZodType,
    handler: (payload: unknown, speaker: Speaker) => void | Promise<void>,
  ): void {
    this.counts.received++;
    const parsed = this.parse(message, schema);
    if (!parsed.ok) return;
    const failed = (error: unknown) => {
      crashOnDefect(error);
      this.counts.failed++;
      this.logger.error({ error, subject: message.subject }, 'a subscriber failed on a message');
    };
    try {
      handler(parsed.value, speaker)?.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  private parse(message: Msg, schema: ZodType): { ok: true; value: unknown } | { ok: false; fault: string } {
    const decoded = decodeJson(message.data);
    const result = decoded.ok ? schema.safeParse(decoded.value) : undefined;
    const isFuture = result?.success && !isPlausible(result.data, this.clock.wallMs());
    if (result?.success && !isFuture) return { ok: true, value: result.data };
    this.counts.invalid++;
    const fault = isFuture ? 'incarnation: more than a day ahead' : faultOf(result?.error?.issues[0]);
    const complaint = this.complaints.admit(message.subject);
    if (complaint) {
      this.logger.warn({ subject: message.subject, fault, ...complaint }, 'dropped a malformed message');
    }
    return { ok: false, fault };
  }

  private async answer(subject: string, message: Msg, handler: () => Promise<unknown>): Promise<void> {
    try {
      const reply = await handler();
      if (message.reply) this.reply(message, Buffer.from(JSON.stringify(reply)), headers());
    } catch (error) {
      crashOnDefect(error);
      if (error instanceof Problem) return this.refuse(message, error);
      this.counts.failed++;
      this.logger.error({ error, subject }, 'answering a request failed');
      this.refuse(message, new Problem('internal', 'the request could not be answered'));
    }
  }

  private refuse(message: Msg, problem: Problem): void {
    if (!message.reply) return;
    const reply = encodeProblem(problem);
    const replyHeaders = headers();
    for (const [name, value] of reply.headers) replyHeaders.set(name, value);
    this.reply(message, Buffer.from(reply.body), replyHeaders);
  }

  private reply(message: Msg, body: Buffer, replyHeaders: MsgHdrs): void {
    const inbox = message.reply ?? '';
    const parts = { kind: 'reply', subject: this.space.plain(message.subject), inbox } as const;
    this.link.send(inbox, body, this.envelope.seal(parts, body, replyHeaders));
  }
}

/** The incarnation that a payload speaks of, its own or that of the node in it. */
function isPlausible(payload: unknown, wallMs: number): boolean {
  const { incarnation, node } = payload as { incarnation?: unknown; node?: { incarnation?: unknown } };
  return [incarnation, node?.incarnation].every(
    (each) => typeof each !== 'number' || isPlausibleIncarnation(each, wallMs),
  );
}

function contains({ buffer, byteOffset, byteLength }: Uint8Array, text: string): boolean {
  return Buffer.from(buffer, byteOffset, byteLength).includes(text);
}

function faultOf(issue: { path: PropertyKey[]; message: string } | undefined): string {
  return issue ? `${issue.path.join('.') || 'body'}: ${issue.message}` : 'the body is not JSON';
}
