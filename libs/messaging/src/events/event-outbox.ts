import { EVENT_FAMILIES, EVENTS, type EventPayload, type EventSubject } from '#libs/contracts';
import { FailureLog, type Repeating, systemClock } from '#libs/kernel';
import type { FactFamily, FamilyPayload } from '../bus.js';
import type { BusLogger } from '../connection.js';
import type { DurableEvents, PublishOutcome } from './durable-events.js';

export interface OutboxEvent {
  /** Event id: kind and version or row id. */
  id: string;
  subject: string;
  payload: unknown;
}

/** Rows of facts that have yet to be published; kept by the service that owns them. */
export interface OutboxRows {
  /** Oldest first. */
  unpublished(limit: number): Promise<OutboxEvent[]>;
  markPublished(ids: readonly string[]): Promise<void>;
}

const BATCH = 100;

/**
 * Facts that must not be missed are rows before they are messages. Their owner announces them when it writes them;
 * whatever was then not confirmed is published from its row, by any instance, also after a restart.
 */
export class EventOutbox {
  private readonly loop: Repeating;

  constructor(
    private readonly stream: DurableEvents,
    private readonly rows: OutboxRows,
    private readonly logger: BusLogger,
    options: { everyMs: number },
  ) {
    const failures = new FailureLog(logger, systemClock);
    this.loop = failures.repeat('publishing recorded facts', () => this.drain(), {
      everyMs: options.everyMs,
      firstAfterMs: options.everyMs,
    });
  }

  /** Announces a fact whose row was just written, and marks the row when that was confirmed. */
  async announce(fact: OutboxEvent): Promise<void> {
    if (!(await this.publish(fact))) return;
    await this.rows.markPublished([fact.id]);
  }

  /** Announces a fact whose row cannot be written now. The row, once there, has it published again: same id. */
  async announceUnrecorded(fact: OutboxEvent): Promise<void> {
    await this.publish(fact);
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async drain(): Promise<void> {
    const facts = await this.rows.unpublished(BATCH);
    const done: string[] = [];
    for (const fact of facts) {
      if (!(await this.publish(fact))) break;
      done.push(fact.id);
    }
    if (done.length > 0) await this.rows.markPublished(done);
  }

  /** True when nothing is left to be done for it. */
  private async publish({ id, subject, payload }: OutboxEvent): Promise<boolean> {
    const announced = isFact(subject)
      ? await this.tellFact(subject, payload, id)
      : await this.tellMember(subject, payload, id);
    if (announced === undefined) {
      this.logger.error({ id, subject }, 'a stored event violates its schema: it is not published');
      return true;
    }
    return announced === 'stored' || announced === 'sent' || announced === 'too-large';
  }

  private async tellFact<S extends EventSubject>(
    subject: S,
    payload: unknown,
    id: string,
  ): Promise<PublishOutcome | undefined> {
    const parsed = EVENTS[subject].schema.safeParse(payload);
    return parsed.success ? this.stream.announce(subject, parsed.data as EventPayload<S>, id) : undefined;
  }

  /** `alert.raised.critical`: the last token tells which member of the family it is. */
  private async tellMember(
    subject: string,
    payload: unknown,
    id: string,
  ): Promise<PublishOutcome | undefined> {
    const dot = subject.lastIndexOf('.');
    const family = subject.slice(0, dot);
    if (!isFamily(family)) return undefined;
    const parsed = EVENT_FAMILIES[family].schema.safeParse(payload);
    if (!parsed.success) return undefined;
    return this.stream.announceFamily(
      family,
      subject.slice(dot + 1),
      parsed.data as FamilyPayload<typeof family>,
      id,
    );
  }
}

function isFact(subject: string): subject is EventSubject {
  return Object.hasOwn(EVENTS, subject);
}

function isFamily(family: string): family is FactFamily {
  return Object.hasOwn(EVENT_FAMILIES, family);
}
