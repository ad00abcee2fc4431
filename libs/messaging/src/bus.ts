import { createInbox, headers, type Msg, type MsgHdrs, nuid } from '@nats-io/transport-node';
import type { ZodType, z } from 'zod';
import {
  FACT_FAMILIES,
  FACTS,
  type FactPayload,
  type FactSubject,
  namespaceToken,
  Problem,
  QUESTIONS,
  type QuestionReply,
  type QuestionRequest,
  type QuestionSubject,
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
import { BusConnection, type BusLogger, type ConnectionSettings } from './connection.js';
import { OncePer } from './once-per.js';
import { busErrorFrom, readReply } from './reply.js';
import {
  cloudEventHeaders,
  decodeJson,
  encodeProblem,
  isSubjectToken,
  WIRE_HEADERS,
  withToken,
} from './wire.js';

export interface BusOptions extends ConnectionSettings {
  logger: BusLogger;
  clock?: Clock;
  rng?: Rng;
}

export type FactFamily = keyof typeof FACT_FAMILIES;
export type FamilyPayload<F extends FactFamily> = z.output<(typeof FACT_FAMILIES)[F]['schema']>;

/** What a handler of a question is given: the request with its defaults filled in. */
export type AskedRequest<S extends QuestionSubject> = z.output<(typeof QUESTIONS)[S]['request']>;

export interface BusCounts {
  published: number;
  /** Not sent: no connection, or too large. */
  unsent: number;
  received: number;
  /** Dropped because they are not what the contract says. */
  invalid: number;
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
  readonly counts: BusCounts = { published: 0, unsent: 0, received: 0, invalid: 0, failed: 0 };
  private readonly complaints: OncePer;

  private constructor(
    private readonly link: BusConnection,
    private readonly logger: BusLogger,
    private readonly clock: Clock,
  ) {
    this.complaints = new OncePer(1_000, clock);
  }

  /** Returns at once, connected or not; the connection is sought for ever. */
  static connect(options: BusOptions): Bus {
    const { logger, clock = systemClock, rng = systemRng } = options;
    return new Bus(new BusConnection(options, logger, rng, clock), logger, clock);
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

  get name(): string {
    return this.link.settings.name;
  }

  onStatus(listener: (connected: boolean) => void): () => void {
    return this.link.onStatus(listener);
  }

  /** True when handed to the connection, false when not sent. With an `id` the stream of facts keeps it once. */
  publish<S extends FactSubject>(
    subject: S,
    payload: FactPayload<S>,
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

  /** Headers of an event, as `publish` sends them. */
  eventHeaders(type: string, id: string | undefined): MsgHdrs {
    const result = headers();
    const time = new Date(this.clock.wallMs()).toISOString();
    const event = { id: id ?? nuid.next(), subject: type, source: this.name, time };
    for (const [name, value] of cloudEventHeaders(event)) result.set(name, value);
    if (id !== undefined) result.set(WIRE_HEADERS.messageId, id);
    return result;
  }

  subscribe<S extends FactSubject>(
    subject: S,
    handler: (payload: FactPayload<S>) => void | Promise<void>,
    options: { queue?: string } = {},
  ): () => void {
    const schema: ZodType = FACTS[subject].schema;
    return this.link.subscribe(subject, options.queue, (message) =>
      this.deliver(message, schema, (payload) => handler(payload as FactPayload<S>)),
    );
  }

  /** Every member of a family, or with `token` only those that have it. */
  subscribeFamily<F extends FactFamily>(
    family: F,
    handler: (payload: FamilyPayload<F>) => void | Promise<void>,
    options: { queue?: string; token?: string } = {},
  ): () => void {
    const schema: ZodType = FACT_FAMILIES[family].schema;
    const token = options.token === undefined ? '*' : namespaceToken(options.token);
    return this.link.subscribe(`${family}.${token}`, options.queue, (message) =>
      this.deliver(message, schema, (payload) => handler(payload as FamilyPayload<F>)),
    );
  }

  /** Asks one responder. Rejects with a BusError, or with the Problem that the responder answered. */
  async request<S extends QuestionSubject>(
    subject: S,
    payload: QuestionRequest<S>,
    options: { timeoutMs: number; token?: string },
  ): Promise<QuestionReply<S>> {
    const nc = this.link.current;
    if (!nc) throw new BusError('disconnected', subject);
    let message: Msg;
    try {
      message = await nc.request(this.address(subject, options.token), JSON.stringify(payload), {
        timeout: Math.max(1, options.timeoutMs),
      });
    } catch (error) {
      throw busErrorFrom(error, subject, nc.isClosed());
    }
    return readReply(subject, message);
  }

  /**
   * Asks everyone who listens and gives what came within `waitMs`, sooner when `enough` says so or nobody listens.
   * Replies that are errors or not what the contract says are left out.
   */
  async requestMany<S extends QuestionSubject>(
    subject: S,
    payload: QuestionRequest<S>,
    options: { waitMs: number; token?: string; enough?: (replies: readonly QuestionReply<S>[]) => boolean },
  ): Promise<QuestionReply<S>[]> {
    const replies: QuestionReply<S>[] = [];
    const inbox = createInbox();
    const done = deferred<void>();
    const unsubscribe = this.link.subscribe(inbox, undefined, (message) => {
      if (message.headers?.code === 503) return done.resolve();
      try {
        replies.push(readReply(subject, message));
      } catch (error) {
        crashOnDefect(error);
        this.logger.debug({ error, subject }, 'a reply was left out');
      }
      if (options.enough?.(replies)) done.resolve();
    });
    const timer = setTimeout(() => done.resolve(), options.waitMs);
    try {
      const sent = this.link.send(
        this.address(subject, options.token),
        JSON.stringify(payload),
        undefined,
        inbox,
      );
      if (!sent) throw new BusError('disconnected', subject);
      await done.promise;
    } finally {
      clearTimeout(timer);
      unsubscribe();
    }
    return replies;
  }

  /** Answers a question. A Problem thrown by the handler is the answer; anything else becomes `internal`. */
  handle<S extends QuestionSubject>(
    subject: S,
    handler: (request: AskedRequest<S>) => Promise<QuestionReply<S>> | QuestionReply<S>,
    options: { queue?: string; token?: string } = {},
  ): () => void {
    const schema: ZodType = QUESTIONS[subject].request;
    let working = 0;
    return this.link.subscribe(this.address(subject, options.token), options.queue, (message) => {
      this.counts.received++;
      if (working >= MAX_CONCURRENT_QUESTIONS) {
        return this.refuse(message, new Problem('cluster-busy', `too many ${subject} at once`));
      }
      const request = this.parse(message, schema);
      if (!request.ok) return this.refuse(message, new Problem('invalid-request', request.fault));
      working++;
      // Both outcomes are handled inside; nothing is left to reject.
      void this.answer(subject, message, async () => handler(request.value as AskedRequest<S>)).finally(
        () => {
          working--;
        },
      );
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
    return withToken(subject, token);
  }

  private send(subject: string, type: string, payload: unknown, id: string | undefined): boolean {
    const sent =
      this.connected && this.link.send(subject, JSON.stringify(payload), this.eventHeaders(type, id));
    if (sent) this.counts.published++;
    else this.counts.unsent++;
    return sent;
  }

  private deliver(message: Msg, schema: ZodType, handler: (payload: unknown) => void | Promise<void>): void {
    this.counts.received++;
    const parsed = this.parse(message, schema);
    if (!parsed.ok) return;
    const failed = (error: unknown) => {
      crashOnDefect(error);
      this.counts.failed++;
      this.logger.error({ error, subject: message.subject }, 'a subscriber failed');
    };
    try {
      handler(parsed.value)?.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  private parse(message: Msg, schema: ZodType): { ok: true; value: unknown } | { ok: false; fault: string } {
    const decoded = decodeJson(message.data);
    const result = decoded.ok ? schema.safeParse(decoded.value) : undefined;
    if (result?.success) return { ok: true, value: result.data };
    this.counts.invalid++;
    const issue = result?.error.issues[0];
    const fault = issue ? `${issue.path.join('.') || 'body'}: ${issue.message}` : 'the body is not JSON';
    const complaint = this.complaints.take(message.subject);
    if (complaint) {
      this.logger.warn({ subject: message.subject, fault, ...complaint }, 'a malformed message was dropped');
    }
    return { ok: false, fault };
  }

  private async answer(subject: string, message: Msg, handler: () => Promise<unknown>): Promise<void> {
    try {
      const reply = await handler();
      if (message.reply) this.link.send(message.reply, JSON.stringify(reply), undefined);
    } catch (error) {
      crashOnDefect(error);
      if (error instanceof Problem) return this.refuse(message, error);
      this.counts.failed++;
      this.logger.error({ error, subject }, 'a question could not be answered');
      this.refuse(message, new Problem('internal', 'the question could not be answered'));
    }
  }

  private refuse(message: Msg, problem: Problem): void {
    if (!message.reply) return;
    const reply = encodeProblem(problem);
    const replyHeaders = headers();
    for (const [name, value] of reply.headers) replyHeaders.set(name, value);
    this.link.send(message.reply, reply.body, replyHeaders);
  }
}
