import { Pool } from 'undici';
import { type Clock, crashOnDefect, type Rng } from '#libs/kernel';
import { type Finding, findingOf, findingOfError } from './domain/finding.js';
import type { NextProbe } from './domain/probe-pace.js';

export interface ProberSettings {
  /** Named in the request, so that a node's operator sees who asks. */
  observer: string;
  fastEveryMs: number;
  fastTimeoutMs: number;
  ownPauseMs: number;
}

export interface ProberParts {
  settings: ProberSettings;
  clock: Clock;
  rng: Rng;
  /** Told of every result, the discarded ones (undefined) too; says when to ask again. */
  found: (finding: Finding | undefined, tookMs: number) => NextProbe;
}

/** A health report takes a few hundred bytes. */
const MAX_BODY_BYTES = 64 * 1024;
const CONNECT_TIMEOUT_MS = 1_000;

/**
 * Asks `GET /health` of one node again and again over one kept-alive connection, never twice at once. When the
 * connection breaks it asks sooner: a crash is noticed then, not at the next turn.
 */
export class HealthProber {
  private readonly pool: Pool;
  private readonly path: string;
  private timer: NodeJS.Timeout | undefined;
  private underWay: Promise<void> | undefined;
  private abort: AbortController | undefined;
  private timeoutMs: number;
  private startedAtMs = Number.NEGATIVE_INFINITY;
  private hurried = false;
  private mayHurry = true;
  private stopped = false;

  constructor(
    private readonly nodeId: string,
    readonly address: string,
    private readonly parts: ProberParts,
  ) {
    const { origin, pathname } = new URL(address);
    this.path = `${pathname.replace(/\/$/, '')}/health`;
    this.timeoutMs = parts.settings.fastTimeoutMs;
    this.pool = new Pool(origin, {
      connections: 1,
      pipelining: 1,
      keepAliveTimeout: 30_000,
      connect: { timeout: CONNECT_TIMEOUT_MS },
    });
    this.pool.on('disconnect', () => this.hurry());
  }

  /** The first time after a random part of `withinMs`: many probers do not begin at once. */
  start(withinMs: number): void {
    this.schedule(this.parts.rng.next() * withinMs);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    this.abort?.abort();
    await this.underWay;
    await this.pool.destroy();
  }

  /** Not twice without a turn in between: a server that closes every connection is not asked without end. */
  private hurry(): void {
    if (this.stopped || !this.mayHurry || this.underWay) return;
    this.mayHurry = false;
    this.hurried = true;
    const sinceMs = this.parts.clock.monotonicMs() - this.startedAtMs;
    this.schedule(Math.max(0, this.parts.settings.fastEveryMs - sinceMs));
  }

  private schedule(afterMs: number): void {
    clearTimeout(this.timer);
    if (!this.stopped) this.timer = setTimeout(() => this.begin(), afterMs);
  }

  private begin(): void {
    this.underWay = this.probe().finally(() => {
      this.underWay = undefined;
    });
  }

  /** Never rejects: that a node does not answer is what is to be found out. */
  private async probe(): Promise<void> {
    const { clock, found } = this.parts;
    this.startedAtMs = clock.monotonicMs();
    const finding = await this.ask();
    if (this.stopped) return;
    const tookMs = clock.monotonicMs() - this.startedAtMs;
    const next = found(finding, tookMs);
    this.timeoutMs = next.timeoutMs;
    this.mayHurry ||= !this.hurried;
    this.hurried = false;
    this.schedule(Math.max(0, next.afterMs - tookMs));
  }

  /** Undefined when our own stall may be to blame. */
  private async ask(): Promise<Finding | undefined> {
    const { clock, settings } = this.parts;
    const abort = new AbortController();
    this.abort = abort;
    const deadlineMs = this.startedAtMs + this.timeoutMs;
    let lateMs: number | undefined;
    const timer = setTimeout(() => {
      lateMs = clock.monotonicMs() - deadlineMs;
      abort.abort();
    }, this.timeoutMs);
    try {
      return await this.exchange(abort.signal);
    } catch (error) {
      crashOnDefect(error);
      if (lateMs === undefined) return findingOfError(codeOf(error));
      return lateMs > settings.ownPauseMs ? undefined : { result: 'timeout' };
    } finally {
      clearTimeout(timer);
    }
  }

  private async exchange(signal: AbortSignal): Promise<Finding> {
    const { statusCode, headers, body } = await this.pool.request({
      method: 'GET',
      path: this.path,
      headers: { 'user-agent': `holdfast-health/${this.parts.settings.observer}` },
      signal,
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) return { result: 'garbled' };
      chunks.push(chunk);
    }
    const retryAfter = headers['retry-after'];
    return findingOf(
      {
        status: statusCode,
        retryAfter: Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
        body: Buffer.concat(chunks).toString(),
      },
      this.nodeId,
      this.parts.clock.wallMs(),
    );
  }
}

/** Of the error itself, or of what caused it. */
function codeOf(error: unknown): string | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    if ('code' in each && typeof each.code === 'string') return each.code;
  }
  return undefined;
}
