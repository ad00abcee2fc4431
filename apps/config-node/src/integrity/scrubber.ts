import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, crashOnDefect } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import { DIGEST_BUCKETS, Scrub, type ScrubFinding } from '#libs/replica';
import type { Alerts } from '../announce/alerts.js';
import { backOff } from '../replica/backoff.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { DigestMetrics } from './digest.metrics.js';

/** So many for each bucket: a round of all 1,024 takes 51 s, unless they are large. */
const BUCKET_MS = 50;
/** Small ones are looked at several at a time: an idle node is not woken for each of them. */
const BUCKETS_AT_ONCE = 8;
/** What is hashed at once must not be felt by a read that waits: about half a millisecond. */
const STEP_BYTES = 256 * 1024;
const MIN_REST_MS = 5;
const FAILED_REST_MS = 1_000;
/** Rests 49 times as long as it worked: 2 % of a core at most, however large the state. */
const REST_FACTOR = 49;

/** Computes the digest anew from what is stored, round after round, and tells of what does not agree. */
export class Scrubber {
  private readonly scrub: Scrub;
  /** Buckets that were found wrong and told of. */
  private readonly told = new Set<number>();
  private foundInBucket = false;
  private roundBeganMs = 0;
  private readonly aborted = new AbortController();
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly host: ReplicaHost,
    private readonly alerts: Alerts,
    private readonly metrics: DigestMetrics,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    this.scrub = new Scrub(host.replica);
    host.onReset(() => this.told.clear());
  }

  start(): void {
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.aborted.abort();
    await this.running;
  }

  /** Buckets of which something was found altered, in the round that ended or since. */
  get damagedBuckets(): number[] {
    return [...this.told].sort((a, b) => a - b);
  }

  /** Looks at a bucket that was set right out of its turn, so that it does not count as damaged for another round. */
  async lookAgain(bucket: number): Promise<void> {
    const scrub = new Scrub(this.host.replica, bucket);
    for (let clean = true; !this.aborted.signal.aborted; await nextTurn()) {
      const { findings, finished } = scrub.scan(STEP_BYTES);
      clean &&= findings.length === 0;
      if (finished === undefined) continue;
      if (clean) this.told.delete(bucket);
      return;
    }
  }

  private async run(): Promise<void> {
    const { signal } = this.aborted;
    for (let restMs = BUCKET_MS; await backOff(restMs, signal); ) {
      try {
        restMs = this.step();
      } catch (error) {
        crashOnDefect(error);
        this.logger.error({ error }, 'recomputing the digest failed: it is tried again');
        restMs = FAILED_REST_MS;
      }
    }
  }

  /** Returns how long to rest. */
  private step(): number {
    const begunMs = this.clock.monotonicMs();
    let finished: number | undefined;
    for (let left = STEP_BYTES, buckets = 0; left > 0 && buckets < BUCKETS_AT_ONCE; buckets++) {
      const step = this.scrub.scan(left);
      left -= step.bytes;
      for (const finding of step.findings) this.found(finding);
      finished = step.finished;
      if (finished === undefined) break;
      if (finished === 0) this.roundBeganMs = begunMs;
      this.finished(finished);
    }
    const nowMs = this.clock.monotonicMs();
    const restMs = finished === undefined ? 0 : this.untilNextMs(finished, nowMs);
    return Math.max(MIN_REST_MS, restMs, (nowMs - begunMs) * REST_FACTOR);
  }

  /** By the round's timetable: on a busy machine every rest is longer than was asked for, and that must not add up. */
  private untilNextMs(finished: number, nowMs: number): number {
    return this.roundBeganMs + (finished + 1) * BUCKET_MS - nowMs;
  }

  /** Once for each bucket, however much of it is damaged and however often it is found. */
  private found(finding: ScrubFinding): void {
    this.metrics.scrubMismatches.inc({ kind: finding.kind });
    const isNews = !this.foundInBucket && !this.told.has(finding.bucket);
    this.foundInBucket = true;
    if (!isNews) return;
    const what =
      finding.kind === 'value'
        ? `the value of ${finding.namespace}/${finding.key} at version ${finding.version} is not that of its checksum`
        : `bucket ${finding.bucket} does not have the digest that its changes gave it`;
    this.logger.error({ finding }, `the state of this node was altered in memory: ${what}`);
    this.alerts.critical('replica.damaged-at-rest', what);
  }

  private finished(bucket: number): void {
    if (this.foundInBucket) this.told.add(bucket);
    else if (this.told.delete(bucket)) this.logger.info({ bucket }, 'the bucket is correct again');
    this.foundInBucket = false;
    if (bucket === DIGEST_BUCKETS - 1) this.metrics.scrubRounds.inc();
  }
}
