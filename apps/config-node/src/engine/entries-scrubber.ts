import { type Clock, type Repeating, repeat } from '#libs/kernel';
import type { Logger, Metrics } from '#libs/observability';
import type { EntriesScrub, KeyAddress, WrongEntry } from '../store/entries-scrub.js';
import type { Leader } from '../store/leader-lock.js';
import type { Publisher } from './publisher.js';

/** 2,000 keys a second, so that 100,000 are looked at within 50 s. */
const EVERY_MS = 250;
const SLICE_KEYS = 500;
const SLICE_BYTES = 1024 * 1024;
/** A small state is walked through no more often than this. */
const WALK_EVERY_MS = 20_000;
/** More are no single faults, and an operator is to look at them first. */
const MAX_REPAIRS_PER_WALK = 100;
const REPAIRS_AT_ONCE = 5;

const BEGINNING: KeyAddress = { namespace: '', key: '' };

/**
 * While this node leads, it walks through the state in the database and compares it with the log, over and over; what is
 * wrong it sets right between two batches. What it found stands in `config.entry_findings`.
 */
export class EntriesScrubber {
  private leader: Leader | undefined;
  private after = BEGINNING;
  private walkBeganMs = Number.NEGATIVE_INFINITY;
  private repairs = 0;
  private loop: Repeating | undefined;
  private readonly looked;
  private readonly found;

  constructor(
    private readonly entries: EntriesScrub,
    private readonly publisher: Pick<Publisher, 'betweenBatches'>,
    metrics: Metrics,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    this.looked = metrics.counter('entries_scrubbed_total', 'Keys of the database compared with the log');
    this.found = metrics.counter('entries_scrub_findings_total', 'Entries that were not what the log says', [
      'class',
      'repaired',
    ]);
  }

  begin(leader: Leader): void {
    this.leader = leader;
    this.beginWalk();
    this.loop ??= repeat(() => this.step(), {
      everyMs: EVERY_MS,
      firstAfterMs: EVERY_MS,
      onError: (error) => this.logger.debug({ error }, 'the state in the database could not be compared'),
    });
  }

  end(): void {
    this.leader = undefined;
  }

  async stop(): Promise<void> {
    this.end();
    await this.loop?.stop();
  }

  private beginWalk(): void {
    this.after = BEGINNING;
    this.repairs = 0;
  }

  private async step(): Promise<void> {
    const { leader, after } = this;
    if (leader === undefined) return;
    const nowMs = this.clock.monotonicMs();
    if (after === BEGINNING) {
      if (nowMs - this.walkBeganMs < WALK_EVERY_MS) return;
      this.walkBeganMs = nowMs;
      this.repairs = 0;
    }
    const { looked, wrong, last } = await this.entries.slice(after, SLICE_KEYS, SLICE_BYTES);
    this.looked.inc(looked);
    for (let from = 0; from < wrong.length; from += REPAIRS_AT_ONCE)
      await this.setRight(leader, wrong.slice(from, from + REPAIRS_AT_ONCE));
    this.after = last ?? BEGINNING;
  }

  private async setRight(leader: Leader, keys: readonly KeyAddress[]): Promise<void> {
    if (leader !== this.leader) return;
    const repair = this.repairs + keys.length <= MAX_REPAIRS_PER_WALK;
    const done = await this.publisher.betweenBatches(() => this.entries.setRight(leader, keys, { repair }));
    if (done === 'fenced') return;
    this.repairs += keys.length;
    for (const entry of done) this.tell(entry);
  }

  private tell(entry: WrongEntry): void {
    const { class: kind, repaired } = entry;
    this.found.inc({ class: kind, repaired: String(repaired) });
    const what = repaired ? 'it was set right' : 'it was left as it is';
    this.logger.error({ entry }, `an entry in the database is not what the log says: ${what}`);
  }
}
