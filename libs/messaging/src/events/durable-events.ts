import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  type JsMsg,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import {
  EVENT_FAMILIES,
  EVENTS,
  type EventPayload,
  type EventSubject,
  namespaceToken,
} from '#libs/contracts';
import { crashOnDefect, fullJitterMs, messageOf, sleep, systemRng } from '#libs/kernel';
import type { Bus, FactFamily, FamilyPayload } from '../bus.js';
import type { BusLogger } from '../connection.js';
import { decodeJson, withToken } from '../wire.js';

const MAX_AGE_MS = 7 * 24 * 3_600_000;
const MAX_BYTES = 1024 * 1024 * 1024;
const DUPLICATE_WINDOW_MS = 120_000;
const API_TIMEOUT_MS = 2_000;
const FETCH = { max_messages: 200, expires: 10_000, idle_heartbeat: 1_000 };
const RETRY = { baseMs: 200, capMs: 5_000 };
const STREAM_EXISTS = 10_058;

/** A durable fact as the stream keeps it. */
export interface StoredEvent {
  /** Position in the stream; rises, without meaning beyond this stream's life. */
  seq: number;
  subject: string;
  /** Event id: equal ids are the same fact. */
  id: string | undefined;
  /** RFC 3339. */
  time: string;
  payload: unknown;
}

/**
 * `sent`: the server keeps no streams, so this is all there is to be had. `too-large`: no server with these settings ever
 * takes it, and whoever tried it again would wait for ever.
 */
export type PublishOutcome = 'stored' | 'sent' | 'unconfirmed' | 'unsent' | 'too-large';

/** For a message's headers, which count towards the server's bound. */
const HEADER_BYTES = 4 * 1024;
/** The server's own code for a message above what the stream allows. */
const MESSAGE_TOO_LARGE = 10_054;

type Stored = Extract<PublishOutcome, 'stored' | 'unconfirmed' | 'too-large'>;

export function durableSubjects(): string[] {
  const facts = Object.entries(EVENTS).filter(([, fact]) => fact.durable);
  const families = Object.entries(EVENT_FAMILIES).filter(([, family]) => family.durable);
  return [...facts.map(([subject]) => subject), ...families.map(([family]) => `${family}.*`)];
}

/**
 * The durable facts, kept for replay in one JetStream stream. The stream stores whatever is published on their
 * subjects; publishing through here also learns that it was stored. It is a convenience, rebuilt from rows when it is
 * lost: every failure is told by the return value, and none stops anybody. Uses nothing newer than nats-server 2.9.
 */
export class DurableEvents {
  private ensured = false;

  constructor(
    private readonly bus: Bus,
    private readonly logger: BusLogger,
  ) {
    bus.onStatus((connected) => {
      if (!connected) this.ensured = false;
    });
  }

  /** Makes the stream unless it is there; false when it could not be seen to. */
  async ensure(): Promise<boolean> {
    if (this.ensured) return true;
    const manager = await this.manager();
    if (!manager) return false;
    const config = {
      subjects: durableSubjects().map((subject) => this.bus.space.wire(subject)),
      max_age: nanos(MAX_AGE_MS),
      max_bytes: MAX_BYTES,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    };
    try {
      await manager.streams.add({
        name: this.bus.space.streamName,
        storage: StorageType.File,
        retention: RetentionPolicy.Limits,
        discard: DiscardPolicy.Old,
        ...config,
      });
      this.ensured = true;
    } catch (error) {
      this.ensured =
        error instanceof JetStreamApiError && error.code === STREAM_EXISTS
          ? await this.update(manager, config)
          : this.failed('the stream of facts could not be made', error);
    }
    return this.ensured;
  }

  /**
   * Publishes and waits for the stream to have it. `unconfirmed`: not stored, though subscribers may have heard it;
   * `too-large`: it never will be, which is logged here.
   */
  publish<S extends EventSubject>(subject: S, payload: EventPayload<S>, id: string): Promise<Stored> {
    return this.store(subject, subject, payload, id);
  }

  publishFamily<F extends FactFamily>(
    family: F,
    token: string,
    payload: FamilyPayload<F>,
    id: string,
  ): Promise<Stored> {
    return this.store(withToken(family, namespaceToken(token)), family, payload, id);
  }

  /**
   * Tells the world now and learns what became of it. Subscribers hear a fact once when all goes well; who sends it
   * again after `unconfirmed` or `unsent` makes them hear it twice, and they know it by its id.
   */
  async announce<S extends EventSubject>(
    subject: S,
    payload: EventPayload<S>,
    id: string,
  ): Promise<PublishOutcome> {
    return this.publishStored(
      () => this.store(subject, subject, payload, id),
      () => this.bus.publish(subject, payload, { id }),
    );
  }

  /** The same for a member of a family. */
  async announceFamily<F extends FactFamily>(
    family: F,
    token: string,
    payload: FamilyPayload<F>,
    id: string,
  ): Promise<PublishOutcome> {
    return this.publishStored(
      () => this.publishFamily(family, token, payload, id),
      () => this.bus.publishFamily(family, token, payload, { id }),
    );
  }

  /** First and last position kept; undefined when the stream cannot be asked. */
  async range(): Promise<{ first: number; last: number } | undefined> {
    if (!(await this.ensure())) return undefined;
    try {
      const info = await (await this.manager())?.streams.info(this.bus.space.streamName);
      return info && { first: info.state.first_seq, last: info.state.last_seq };
    } catch (error) {
      this.failed('the stream of facts could not be asked', error);
      return undefined;
    }
  }

  /**
   * Every fact after position `after`, then what comes, until the signal aborts. Whenever the stream stops answering
   * the reader begins anew after the last fact it gave: a consumer whose server died stays silent for ever otherwise.
   */
  async *follow(after: number, signal: AbortSignal): AsyncGenerator<StoredEvent, void, undefined> {
    let last = after;
    let failures = 0;
    while (!signal.aborted) {
      try {
        for await (const fact of this.read(last, signal)) {
          last = fact.seq;
          failures = 0;
          yield fact;
        }
      } catch (error) {
        this.failed('reading the stream of facts failed', error);
      }
      if (signal.aborted) return;
      await pause(fullJitterMs(RETRY, failures++, systemRng), signal);
    }
  }

  /** The payload of the last fact of a family that the stream keeps; undefined when there is none, or it cannot be asked. */
  async lastOf(family: FactFamily): Promise<unknown> {
    if (!(await this.ensure())) return undefined;
    try {
      const manager = await this.manager();
      const subject = this.bus.space.wire(`${family}.*`);
      const last = await manager?.streams.getMessage(this.bus.space.streamName, { last_by_subj: subject });
      if (!last || !this.bus.isAuthentic({ subject: last.subject, data: last.data, headers: last.header }))
        return undefined;
      const decoded = decodeJson(last.data);
      return decoded.ok ? decoded.value : undefined;
    } catch (error) {
      this.failed('the stream of facts could not be asked', error);
      return undefined;
    }
  }

  private async *read(after: number, signal: AbortSignal): AsyncGenerator<StoredEvent, void, undefined> {
    const connection = this.bus.connection;
    if (!connection || !(await this.ensure())) return;
    const manager = await this.manager();
    if (!manager) return;
    const stream = this.bus.space.streamName;
    const { name } = await manager.consumers.add(stream, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: after + 1,
      inactive_threshold: nanos(60_000),
      mem_storage: true,
    });
    const consumer = await jetstream(connection).consumers.get(stream, name);
    while (!signal.aborted && !connection.isClosed()) {
      const messages = await consumer.fetch(FETCH);
      const stop = () => messages.stop();
      signal.addEventListener('abort', stop, { once: true });
      try {
        for await (const message of messages) {
          if (this.bus.isAuthentic(message)) yield this.storedFact(message);
        }
      } finally {
        signal.removeEventListener('abort', stop);
      }
    }
    if (!connection.isClosed()) await manager.consumers.delete(stream, name);
  }

  private async publishStored(store: () => Promise<Stored>, publish: () => boolean): Promise<PublishOutcome> {
    const connection = this.bus.connection;
    if (!connection) return 'unsent';
    if (this.ensured) return store();
    if (!publish()) return 'unsent';
    if (connection.info?.jetstream !== true) return 'sent';
    await this.ensure();
    return 'unconfirmed';
  }

  private async store(subject: string, type: string, payload: unknown, id: string): Promise<Stored> {
    const connection = this.bus.connection;
    if (!connection) return 'unconfirmed';
    const fact = this.bus.sealFact(subject, type, payload, id);
    const mostBytes = connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
    if (fact.body.byteLength + HEADER_BYTES > mostBytes) return this.tooLarge(subject, id);
    await this.ensure();
    try {
      await jetstream(connection, { timeout: API_TIMEOUT_MS }).publish(fact.subject, fact.body, {
        headers: fact.headers,
        msgID: id,
      });
      return 'stored';
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === MESSAGE_TOO_LARGE)
        return this.tooLarge(subject, id);
      this.failed('a fact was not stored', error);
      return 'unconfirmed';
    }
  }

  private tooLarge(subject: string, id: string): 'too-large' {
    this.logger.error({ subject, id }, 'an event exceeds the limit of the bus: it is never published');
    return 'too-large';
  }

  private async manager(): Promise<JetStreamManager | undefined> {
    const connection = this.bus.connection;
    if (!connection) return undefined;
    try {
      return await jetstreamManager(connection, { timeout: API_TIMEOUT_MS, checkAPI: false });
    } catch (error) {
      this.failed('JetStream cannot be asked', error);
      return undefined;
    }
  }

  private async update(manager: JetStreamManager, config: Record<string, unknown>): Promise<boolean> {
    try {
      await manager.streams.update(this.bus.space.streamName, config);
      return true;
    } catch (error) {
      return this.failed('the stream of facts could not be updated', error);
    }
  }

  private storedFact(message: JsMsg): StoredEvent {
    const decoded = decodeJson(message.data);
    return {
      seq: message.seq,
      subject: this.bus.space.plain(message.subject),
      id: message.headers?.get('ce-id') || undefined,
      time: message.headers?.get('ce-time') || new Date(message.timestamp).toISOString(),
      payload: decoded.ok ? decoded.value : null,
    };
  }

  private failed(what: string, error: unknown): false {
    crashOnDefect(error);
    this.logger.debug({ reason: messageOf(error) }, what);
    return false;
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
