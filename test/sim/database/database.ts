import type { Rng } from '#libs/kernel';
import { OutcomeUnknown, StatementRefused } from '#libs/postgres';
import type { World } from '../world/world.js';
import { type ChangeModel, ConfigTables, type Undo } from './config-tables.js';
import { FailoverTables } from './failover-tables.js';
import { CONFIG_STATEMENTS, type Effect, LOCKS_HEAD, type Result } from './statements.js';

export interface Transaction {
  name: string;
  values: readonly unknown[];
  /** Called once, when the server has something to say. */
  reply: (result: Result | Error) => void;
  arrivedMs: number;
  /** The server that it runs on: of an earlier one nothing is committed any more. */
  server: number;
}

/** Who is told of what the database did; it sees everything, and is part of no process. */
export interface DatabaseWatcher {
  committed(changes: readonly ChangeModel[]): void;
  claimed(term: number, leaderId: string): void;
  /** Versions after `to` are gone, and so are the claims of terms above `term`. */
  lost(from: number, to: number, term: number): void;
}

const READS: ReadonlySet<string> = new Set([
  'read-head',
  'look-up-requests',
  'changes-after',
  'changes-of-namespaces',
  'entries-page',
  'entries-touched',
  'chains',
  'failover.head',
  'sync.head',
  'failover.views',
  'failover.questions',
  'failover.verdicts',
  'failover.unpublished',
  'failover.recovery-read',
  'state',
]);
const LOCK_TIMEOUT_MS = 1_000;
const CLAIM_LOCK_TIMEOUT_MS = 100;
const TRANSACTION_TIMEOUT_MS = 2_500;
const LOCK_NOT_AVAILABLE = '55P03';
/** Nothing that was committed longer ago is lost with a primary. */
const JOURNAL_MS = 3_000;

/** What may go wrong with statements while a fault lasts, each with its probability. */
export interface StatementFaults {
  /** Committed, and the client told that nobody knows. */
  committedUnknown: number;
  /** Rolled back, and the client told that nobody knows. */
  rolledBackUnknown: number;
  /** Refused without an effect. */
  refused: number;
  /** Frozen on its way for some seconds: the client has given up when it arrives. */
  frozen: number;
  /** Batches alone refused, as by a full disk: what only updates a row goes on. */
  full: number;
}

export const NO_STATEMENT_FAULTS: StatementFaults = {
  committedUnknown: 0,
  rolledBackUnknown: 0,
  refused: 0,
  frozen: 0,
  full: 0,
};

/**
 * A primary, with what of it survives: every statement takes its time, those that write the head row wait for each
 * other, and what is committed when its server is lost may be lost with it.
 */
export class SimDatabase {
  readonly tables: ConfigTables;
  readonly failover = new FailoverTables();
  readonly rng: Rng;
  faults: StatementFaults = NO_STATEMENT_FAULTS;
  /** Added to the time of every commit. */
  slowMs = 0;
  /** Counts servers: a failover or a restart begins another. */
  server = 0;
  isUp = true;
  /** What the primary that was replaced still shows to whoever is connected to it. */
  replaced: { tables: ConfigTables; server: number; untilMs: number } | undefined;
  private stalled: (() => void)[] | undefined;
  private holder: Transaction | undefined;
  private waiting: Transaction[] = [];
  private journal: { atMs: number; undo: Undo }[] = [];

  constructor(
    readonly world: World,
    private readonly watcher: DatabaseWatcher,
  ) {
    this.rng = world.rng('database');
    this.tables = new ConfigTables(`c-${world.seed}`);
  }

  get isStalled(): boolean {
    return this.stalled !== undefined;
  }

  /** Whether a primary that was replaced answered reads at any time of the last so many milliseconds. */
  isReplacedReadable(withinMs: number): boolean {
    return this.replaced !== undefined && this.world.nowMs - this.replaced.untilMs < withinMs;
  }

  isRead(name: string): boolean {
    return READS.has(name);
  }

  arrive(transaction: Transaction): void {
    if (!this.isUp || transaction.server !== this.server) {
      transaction.reply(new OutcomeUnknown('the server has gone'));
      return;
    }
    if (this.stalled !== undefined) {
      this.stalled.push(() => this.arrive(transaction));
      return;
    }
    const { name } = transaction;
    if (READS.has(name)) this.world.in(0.05 + this.rng.next() * 0.2, () => this.finish(transaction));
    else if (LOCKS_HEAD.has(name)) this.lock(transaction);
    else this.world.in(this.commitMs(), () => this.finish(transaction));
  }

  /** A statement on the state of a server, outside of any transaction of its own: reads only. */
  read(tables: ConfigTables, name: string, values: readonly unknown[]): Result {
    return this.run(tables, name, values);
  }

  stall(): void {
    this.stalled ??= [];
  }

  resume(): void {
    const late = this.stalled ?? [];
    this.stalled = undefined;
    for (const run of late) run();
  }

  /** The server goes; what it had committed stays. */
  stop(): void {
    this.isUp = false;
    this.endServer();
  }

  /** Another takes its place, without what was committed within the last `loseMs`. */
  failOver(loseMs: number, replacedForMs: number): void {
    const before = this.tables.clone();
    this.replaced = { tables: before, server: this.server, untilMs: this.world.nowMs + replacedForMs };
    while (this.journal.length > 0) {
      const last = this.journal.at(-1);
      if (last === undefined || last.atMs < this.world.nowMs - loseMs) break;
      last.undo();
      this.journal.pop();
    }
    const { version, term } = this.tables.head;
    this.stop();
    if (before.head.version > version || before.head.term > term) {
      this.watcher.lost(version + 1, before.head.version, term);
    }
  }

  start(): void {
    this.isUp = true;
  }

  /** Ends whoever holds the head row: what it did is rolled back. */
  endBlockers(): number {
    const { holder } = this;
    if (holder === undefined || holder.name === 'failover.claim') return 0;
    holder.reply(new OutcomeUnknown('the backend was terminated (57P01)'));
    this.holder = undefined;
    this.next();
    return 1;
  }

  private endServer(): void {
    this.server++;
    const open = [...(this.holder ? [this.holder] : []), ...this.waiting];
    this.holder = undefined;
    this.waiting = [];
    this.resume();
    for (const transaction of open) transaction.reply(new OutcomeUnknown('the server has gone'));
  }

  private commitMs(): number {
    return 0.2 + this.rng.next() * 0.8 + (this.slowMs > 0 ? this.rng.next() * this.slowMs : 0);
  }

  private lock(transaction: Transaction): void {
    if (this.holder === undefined) {
      this.hold(transaction);
      return;
    }
    this.waiting.push(transaction);
    const patienceMs = transaction.name === 'failover.claim' ? CLAIM_LOCK_TIMEOUT_MS : LOCK_TIMEOUT_MS;
    this.world.in(patienceMs, () => {
      if (!this.waiting.includes(transaction)) return;
      this.waiting = this.waiting.filter((other) => other !== transaction);
      transaction.reply(new StatementRefused('the head row is locked', LOCK_NOT_AVAILABLE));
    });
  }

  private hold(transaction: Transaction): void {
    this.holder = transaction;
    this.world.in(this.commitMs(), () => this.release(transaction));
  }

  private release(transaction: Transaction): void {
    if (this.holder !== transaction) return;
    if (this.stalled !== undefined) {
      this.stalled.push(() => this.release(transaction));
      return;
    }
    this.holder = undefined;
    this.finish(transaction);
    this.next();
  }

  private next(): void {
    if (this.holder !== undefined) return;
    const next = this.waiting.shift();
    if (next !== undefined) this.hold(next);
  }

  private finish(transaction: Transaction): void {
    const { name, values, reply, arrivedMs, server } = transaction;
    if (server !== this.server || !this.isUp) {
      reply(new OutcomeUnknown('the server has gone'));
      return;
    }
    if (this.stalled !== undefined) {
      this.stalled.push(() => this.finish(transaction));
      return;
    }
    if (READS.has(name)) {
      reply(this.run(this.tables, name, values));
      return;
    }
    if (this.world.nowMs - arrivedMs > TRANSACTION_TIMEOUT_MS) {
      reply(new OutcomeUnknown('the transaction took too long (25P04)'));
      return;
    }
    const chance = this.rng.next();
    if (name === 'commit' && chance < this.faults.full) {
      reply(new StatementRefused('no space left on device', '53100'));
      return;
    }
    const { committedUnknown, rolledBackUnknown, refused } = this.faults;
    if (chance < rolledBackUnknown) {
      reply(new OutcomeUnknown('the connection broke'));
      return;
    }
    if (chance < rolledBackUnknown + refused) {
      reply(new StatementRefused('out of memory', '53200'));
      return;
    }
    reply(this.perform(name, values, chance < rolledBackUnknown + refused + committedUnknown));
  }

  /** Commits; what a statement changed can be undone for a while. */
  private perform(name: string, values: readonly unknown[], hideOutcome: boolean): Result | Error {
    let effect: Effect;
    try {
      effect = this.run(this.tables, name, values);
    } catch (error) {
      if (error instanceof StatementRefused) return error;
      throw error;
    }
    const { undo, committed, rows, rowCount } = effect;
    if (undo !== undefined) {
      this.journal.push({ atMs: this.world.nowMs, undo });
      if (this.journal.length > 64) {
        this.journal = this.journal.filter(({ atMs }) => atMs > this.world.nowMs - JOURNAL_MS);
      }
    }
    if (committed !== undefined) this.watcher.committed(committed);
    const { term, leaderId } = this.tables.head;
    if (name === 'failover.claim' && rowCount > 0 && leaderId !== null) this.watcher.claimed(term, leaderId);
    return hideOutcome ? new OutcomeUnknown('committed with a warning (01000)') : { rows, rowCount };
  }

  private run(tables: ConfigTables, name: string, values: readonly unknown[]): Effect {
    if (name === 'failover.end-blockers') return { rows: [], rowCount: this.endBlockers() };
    if (name === 'state') return { rows: [tables.clone()], rowCount: 1 };
    const atMs = Math.floor(this.world.wallMs);
    const statement = CONFIG_STATEMENTS[name];
    if (statement !== undefined) return statement(tables, values, atMs);
    const effect = this.failover.execute(tables, name, values, atMs);
    if (effect !== undefined) return effect;
    // What nothing here depends on: migrations, positions for people to look at, clearing away.
    return { rows: [], rowCount: 0 };
  }
}
