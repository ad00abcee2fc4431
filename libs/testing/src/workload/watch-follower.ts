import { Agent, request } from 'undici';
import { loggedOperation, type WireLoggedChange } from '../clients/api-client.js';
import { type SseEvent, SseParser } from '../clients/sse.js';
import { transportFailure } from '../clients/transport-error.js';
import type { WatchRecord } from '../history/record.js';
import type { Failure, Via } from './failures.js';

export interface WatchFollowerOptions {
  name: string;
  via: Via;
  namespace: string;
  prefix: string;
  origins: () => readonly string[];
  onFailure: (failure: Failure) => void;
}

/** A stream says something at least every 5 s; one that is silent for longer is dead. */
const SILENT_MS = 12_000;
const RECONNECT_MS = 50;

/** Follows a prefix for as long as it lives, over any number of connections, as a careful client does. */
export class WatchFollower {
  readonly record: WatchRecord;
  private readonly options: WatchFollowerOptions;
  private readonly agent = new Agent({ bodyTimeout: SILENT_MS, headersTimeout: SILENT_MS });
  private readonly stopping = new AbortController();
  private at = 0;
  private seen: number | null = null;
  private running: Promise<void> | undefined;
  /** Streams that ended without being asked to. */
  breaks = 0;

  constructor(options: WatchFollowerOptions) {
    this.options = options;
    this.record = { watcher: options.name, namespace: options.namespace, prefix: options.prefix, events: [] };
  }

  start(): void {
    this.running = this.follow();
  }

  /** Everything up to this version has been told. */
  get version(): number {
    return this.seen ?? -1;
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
    await this.agent.destroy();
  }

  private async follow(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const begin = performance.now();
      const code = await this.connectOnce();
      if (signal.aborted) return;
      this.breaks++;
      this.at++;
      const { via, name } = this.options;
      const at = performance.now();
      this.options.onFailure({ via, what: 'watch', client: name, code, at, tookMs: at - begin });
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
    }
  }

  /** Returns why the stream ended. */
  private async connectOnce(): Promise<string> {
    const { namespace, prefix, origins } = this.options;
    const available = origins();
    const origin = available[this.at % available.length];
    // Both ways of resuming are used in turn.
    const resume = this.seen === null ? {} : { 'last-event-id': String(this.seen) };
    const byHeader = this.breaks % 2 === 1;
    const query = new URLSearchParams({ prefix });
    if (this.seen !== null && !byHeader) query.set('from', String(this.seen));
    try {
      const answer = await request(`${origin}/v1/namespaces/${namespace}/watch?${query}`, {
        dispatcher: this.agent,
        headers: { accept: 'text/event-stream', ...(byHeader ? resume : {}) },
        signal: this.stopping.signal,
      });
      if (answer.statusCode !== 200) {
        await answer.body.dump();
        return `status-${answer.statusCode}`;
      }
      this.record.events.push({ type: 'connected', from: this.seen, at: performance.now() });
      const parser = new SseParser();
      for await (const bytes of answer.body) {
        for (const event of parser.push(bytes)) {
          const end = this.take(event);
          if (end) return end;
        }
      }
      return 'closed';
    } catch (error) {
      if (this.stopping.signal.aborted) return 'stopped';
      return transportFailure(error).code;
    }
  }

  private take(event: SseEvent): string | undefined {
    const at = performance.now();
    const data = JSON.parse(event.data) as WireLoggedChange & { reason?: string };
    const { version } = data;
    switch (event.event) {
      case 'change':
        this.record.events.push({
          type: 'change',
          version,
          operations: data.operations.map(loggedOperation),
          at,
        });
        break;
      case 'bookmark':
        this.record.events.push({ type: 'bookmark', version, at });
        break;
      case 'reset':
        this.record.events.push({ type: 'reset', version, reason: data.reason ?? '', at });
        break;
      case 'end':
        return `end-${data.reason}`;
      default:
        return undefined;
    }
    this.seen = version;
    return undefined;
  }
}
