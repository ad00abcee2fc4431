/** Nothing holds up a simulated event loop but a pause of its process. */
export class EventLoopLag {
  sample(): { p99Ms: number; maxMs: number; worstMs: number } {
    return { p99Ms: 0, maxMs: 0, worstMs: 0 };
  }

  stop(): void {}
}
