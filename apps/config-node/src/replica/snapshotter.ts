import { setImmediate as nextTurn } from 'node:timers/promises';
import { crashOnDefect, FailureLog, type Repeating, systemClock } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import { pinState } from '#libs/replica';
import type { ReplicaHost } from './replica-host.js';
import type { SnapshotFile } from './snapshot-file.js';

const EVERY_MS = 10_000;
/** On average no more than this is written, so that a large state is saved less often. */
const AVERAGE_BYTES_PER_S = 4 * 1024 * 1024;

/** Saves the state to disk while it changes, and when the process stops. */
export class Snapshotter {
  private savedChain: string | undefined;
  private rests = 0;
  private withheld = false;
  private loop: Repeating | undefined;
  private saving: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly host: ReplicaHost,
    private readonly file: SnapshotFile,
    private readonly logger: Logger,
  ) {}

  /** Loads what is on disk into the replica: served as stale until the head is learnt. */
  async restore(): Promise<void> {
    const loaded = await this.file.load();
    if (loaded === undefined) return;
    const { header, state } = loaded;
    this.host.load(header, state, 'compacted');
    this.host.noteVersion(header.highestVersion ?? 0);
    this.savedChain = header.chain;
    this.logger.info(
      { version: header.version, entries: header.entries },
      'started from the snapshot on disk',
    );
  }

  start(): void {
    this.loop = new FailureLog(this.logger, systemClock).repeat('saving the snapshot', () => this.tick(), {
      everyMs: EVERY_MS,
      firstAfterMs: EVERY_MS,
    });
  }

  /** Saves the state once more and keeps a copy; then nothing is saved while it is doubtful whose history this is. */
  async withhold(why: string): Promise<void> {
    if (this.withheld) return;
    const saved = this.save({ paced: false });
    this.withheld = true;
    await saved;
    const kept = await this.file.setAside(why);
    this.logger.warn({ kept }, 'moved the snapshot aside');
  }

  /**
   * The state in memory is damaged, and what is on disk may be: a copy is kept aside, and no start begins from it. Nothing
   * is saved until `resume`.
   */
  async discard(why: string): Promise<void> {
    await this.withhold(why);
    await this.file.remove();
    this.savedChain = undefined;
  }

  /** The state was set right without a change: what is on disk is not it any more. */
  outdated(): void {
    this.savedChain = undefined;
    this.rests = 0;
  }

  resume(): void {
    this.withheld = false;
  }

  async stop(): Promise<void> {
    await this.loop?.stop();
    try {
      await this.save({ paced: false });
    } catch (error) {
      crashOnDefect(error);
      // The one before it is still there, and the log has what came after.
      this.logger.warn({ error }, 'saving the last snapshot failed: the next start uses the one before');
    }
  }

  private async tick(): Promise<void> {
    if (this.rests-- > 0) return;
    const bytes = await this.save({ paced: true });
    this.rests = Math.floor(bytes / AVERAGE_BYTES_PER_S / (EVERY_MS / 1_000));
  }

  /** One at a time: they all write the same file. Returns the bytes written. */
  private save(options: { paced: boolean }): Promise<number> {
    if (this.withheld) return Promise.resolve(0);
    const saved = this.saving.then(() => this.write(options));
    this.saving = saved.catch(() => undefined); // whoever asked for it is told
    return saved;
  }

  private async write(options: { paced: boolean }): Promise<number> {
    const { replica } = this.host;
    if (replica.clusterId === null || replica.chain === this.savedChain) return 0;
    const pinned = await pinState(replica, () => nextTurn());
    if (pinned === undefined) return 0; // overtaken by changes: next time
    const bytes = await this.file.save({ ...pinned, highestVersion: this.host.highestVersion }, options);
    this.savedChain = pinned.position.chain;
    this.logger.debug({ version: pinned.position.version, bytes }, 'snapshot saved');
    return bytes;
  }
}
