import type { ServerResponse } from 'node:http';
import { EVENTS, type EventSubject, Problem } from '#libs/contracts';
import { crashOnDefect, sleep } from '#libs/kernel';
import type { Bus, DurableEvents } from '#libs/messaging';
import type { Logger } from '#libs/observability';

const MAX_STREAMS = 64;
const MAX_UNREAD_BYTES = 1024 * 1024;
const COMMENT_EVERY_MS = 15_000;
const LOOK_FOR_STREAM_EVERY_MS = 2_000;

/**
 * The facts of the bus as server-sent events. The id of an event is its position in the stream of facts, so that
 * a reader resumes where it was. While that stream is away facts are passed on as they come, without an id: a reader
 * may get them again when the stream is back.
 */
export class EventFeed {
  private readonly streams = new Set<EventStream>();

  constructor(
    private readonly bus: Bus,
    private readonly facts: DurableEvents,
    private readonly logger: Logger,
  ) {}

  get size(): number {
    return this.streams.size;
  }

  admit(): void {
    if (this.streams.size >= MAX_STREAMS) {
      throw new Problem('cluster-busy', 'this gateway has as many event streams as it can take');
    }
  }

  /** Serves until the client leaves or the feed drains. `from` undefined = only what comes from now on. */
  serve(response: ServerResponse, from: number | undefined): void {
    const stream = new EventStream(response);
    this.streams.add(stream);
    response.once('close', () => stream.stop());
    this.run(stream, from)
      .catch((error: unknown) => {
        crashOnDefect(error);
        this.logger.error({ error }, 'an event stream failed: it is ended');
        response.destroy();
      })
      .finally(() => this.streams.delete(stream));
  }

  drain(): void {
    for (const stream of this.streams) stream.end('draining');
  }

  private async run(stream: EventStream, from: number | undefined): Promise<void> {
    let after = from;
    while (!stream.stopped.aborted) {
      const range = await this.facts.range();
      if (range === undefined) {
        await this.passOn(stream);
        continue;
      }
      // A position beyond the stream's end is one of an earlier stream that was lost: what is there is all new.
      after = after === undefined ? range.last : after > range.last ? 0 : after;
      stream.beginsAfter(after);
      for await (const fact of this.facts.follow(after, stream.stopped)) {
        after = fact.seq;
        stream.send({
          id: fact.seq,
          subject: fact.subject,
          time: fact.time,
          event: fact.id,
          payload: fact.payload,
        });
      }
    }
  }

  /** Live facts until the stream of facts is back. */
  private async passOn(stream: EventStream): Promise<void> {
    const stop = durableSubjects().map((subject) =>
      this.bus.subscribe(subject, (payload) => {
        stream.send({ id: undefined, subject, time: undefined, event: undefined, payload });
      }),
    );
    try {
      do {
        await sleep(LOOK_FOR_STREAM_EVERY_MS, stream.stopped);
      } while ((await this.facts.range()) === undefined);
    } catch (error) {
      if (!stream.stopped.aborted) throw error;
    } finally {
      for (const unsubscribe of stop) unsubscribe();
    }
  }
}

function durableSubjects(): EventSubject[] {
  return (Object.keys(EVENTS) as EventSubject[]).filter((subject) => EVENTS[subject].durable);
}

interface Event {
  id: number | undefined;
  subject: string;
  time: string | undefined;
  /** The fact's own id: equal ids are the same fact. */
  event: string | undefined;
  payload: unknown;
}

class EventStream {
  private readonly gone = new AbortController();
  private readonly comments: NodeJS.Timeout;
  private lastId = 0;

  constructor(private readonly response: ServerResponse) {
    response.write('retry: 1000\n\n');
    this.comments = setInterval(() => response.write(':\n\n'), COMMENT_EVERY_MS);
    this.comments.unref();
  }

  /** Where a reader to whom nothing was sent resumes. */
  beginsAfter(id: number): void {
    this.lastId = id;
  }

  get stopped(): AbortSignal {
    return this.gone.signal;
  }

  send({ id, subject, time, event, payload }: Event): void {
    if (this.gone.signal.aborted) return;
    if (this.response.writableLength > MAX_UNREAD_BYTES) {
      this.end('slow');
      return;
    }
    if (id !== undefined) this.lastId = id;
    const data = JSON.stringify({ subject, id: event ?? null, time: time ?? null, payload });
    this.response.write(`${id === undefined ? '' : `id: ${id}\n`}event: ${subject}\ndata: ${data}\n\n`);
  }

  end(reason: 'slow' | 'draining'): void {
    if (this.gone.signal.aborted) return;
    this.response.end(`event: end\ndata: ${JSON.stringify({ from: this.lastId, reason })}\n\n`);
    this.stop();
  }

  stop(): void {
    clearInterval(this.comments);
    this.gone.abort();
  }
}
