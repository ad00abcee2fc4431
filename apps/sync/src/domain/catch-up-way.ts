/**
 * Log or whole state: whichever is likely to be over sooner. The log keeps what a state does not bring (watchers of the
 * node go on, its recent digests stay), so a state must be clearly cheaper.
 */
export interface Work {
  /** Changes that the node misses. */
  gap: number;
  bytesPerChange: number;
  stateKeys: number;
  stateBytes: number;
}

/** Of the whole log and state, about. */
export type Sizes = Omit<Work, 'gap'>;

/** As measured, or assumed until then. */
export interface Rates {
  changesPerSecond: number;
  keysPerSecond: number;
  bytesPerSecond: number;
}

export interface WayLimits {
  /** A gap up to this is closed from the log whatever the state costs. */
  alwaysLog: number;
  /** The log may cost so many times as much as the state. */
  favour: number;
  /** What a state costs beside its keys: asking, pinning, swapping. */
  stateMs: number;
}

export type Way = 'log' | 'snapshot';
type WayReason = 'small-gap' | 'log-cheaper' | 'state-cheaper' | 'unknown-state';

export function costsMs(work: Work, rates: Rates, limits: WayLimits): { log: number; snapshot: number } {
  const { gap, bytesPerChange, stateKeys, stateBytes } = work;
  const bytesMs = (bytes: number) => (bytes * 1_000) / rates.bytesPerSecond;
  return {
    log: (gap * 1_000) / rates.changesPerSecond + bytesMs(gap * bytesPerChange),
    snapshot: limits.stateMs + (stateKeys * 1_000) / rates.keysPerSecond + bytesMs(stateBytes),
  };
}

/** @param work `stateKeys` is not known: the log */
export function chooseWay(
  work: Work | undefined,
  rates: Rates,
  limits: WayLimits,
): { way: Way; reason: WayReason } {
  if (work === undefined) return { way: 'log', reason: 'unknown-state' };
  if (work.gap <= limits.alwaysLog) return { way: 'log', reason: 'small-gap' };
  const { log, snapshot } = costsMs(work, rates, limits);
  return log > snapshot * limits.favour
    ? { way: 'snapshot', reason: 'state-cheaper' }
    : { way: 'log', reason: 'log-cheaper' };
}

/** Chooses by what was measured so far. */
export class WayChooser {
  private sizes: Sizes | undefined;

  constructor(
    private rates: Rates,
    private readonly limits: WayLimits,
  ) {}

  sizesAre(sizes: Sizes): void {
    this.sizes = sizes;
  }

  tookFromLog(changesPerSecond: number): void {
    this.rates = { ...this.rates, changesPerSecond: smoothed(this.rates.changesPerSecond, changesPerSecond) };
  }

  loaded(keysPerSecond: number): void {
    this.rates = { ...this.rates, keysPerSecond: smoothed(this.rates.keysPerSecond, keysPerSecond) };
  }

  choose(gap: number): Way {
    const work = this.sizes === undefined ? undefined : { gap, ...this.sizes };
    return chooseWay(work, this.rates, this.limits).way;
  }
}

/** A running mean in which one measurement counts for a fifth. */
function smoothed(before: number, measured: number): number {
  return Number.isFinite(measured) && measured > 0 ? before * 0.8 + measured * 0.2 : before;
}
