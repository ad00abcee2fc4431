import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Measures how long the event loop keeps work waiting. */
export class EventLoopLag {
  private readonly histogram = monitorEventLoopDelay({ resolution: 20 });
  private worstMs = 0;

  constructor() {
    this.histogram.enable();
  }

  /** 99th percentile since the last call, and the longest gap seen since the start, beyond the sampling interval. */
  sample(): { p99Ms: number; maxMs: number; worstMs: number } {
    const p99Ms = Math.max(0, this.histogram.percentile(99) / 1e6 - 20);
    const maxMs = Math.max(0, this.histogram.max / 1e6 - 20);
    this.histogram.reset();
    if (Number.isFinite(maxMs)) this.worstMs = Math.max(this.worstMs, maxMs);
    return { p99Ms, maxMs, worstMs: this.worstMs };
  }

  stop(): void {
    this.histogram.disable();
  }
}
