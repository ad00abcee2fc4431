/**
 * Silence proves something only to one who could have heard. While the bus is away, or after this process itself was
 * stalled (its sockets are read only after its timers fire), nobody is judged silent, and everybody gets a full
 * time-out anew. Worth more than any tuning of the time-out (the "local pause" guard of Cassandra, Sentinel's TILT).
 */
export class LocalPauseGuard {
  private lastTickMs: number | undefined;

  constructor(private readonly settings: { tickEveryMs: number; ownPauseMs: number }) {}

  /** Called on every tick: may silence be judged now? */
  observe(nowMs: number, busConnected: boolean): 'hears' | 'bus-away' | 'was-stalled' {
    const late = this.lastTickMs === undefined ? 0 : nowMs - this.lastTickMs - this.settings.tickEveryMs;
    this.lastTickMs = nowMs;
    if (!busConnected) return 'bus-away';
    return late > this.settings.ownPauseMs ? 'was-stalled' : 'hears';
  }
}
