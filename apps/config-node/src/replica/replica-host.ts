import { type Change, type Head, isPlausibleTerm, TERM_AHEAD_MAX } from '#libs/contracts';
import type { Clock } from '#libs/kernel';
import { type ApplyResult, type LogPosition, Replica, type StateBuilder } from '#libs/replica';

export interface Reset {
  version: number;
  reason: 'compacted' | 'diverged';
}

type AppliedPoint = Pick<Head, 'version' | 'chain'>;

interface LearntHead extends AppliedPoint {
  atMs: number;
}

/** Heads that were learnt and are not applied yet. The oldest is reached first, so that a full list drops new ones. */
const MAX_AWAITED_HEADS = 32;
const STALE_AFTER_MS = 3_000;

/** The node's replica, what is known of its freshness, and who waits for it to move. */
export class ReplicaHost {
  readonly replica = new Replica();
  private highestTerm = 0;
  /** Of head, as the database last gave it. */
  private headTerm = 0;
  private highestHeld = 0;
  private freshAtMs = Number.NEGATIVE_INFINITY;
  private awaited: LearntHead[] = [];
  private withheld: string | undefined;
  private readonly appliedListeners = new Set<(changes: readonly Change[]) => void>();
  private awaiting = 0;
  private readonly awaitedListeners = new Set<() => void>();
  private readonly resetListeners = new Set<(reset: Reset) => void>();

  constructor(
    readonly nodeId: string,
    private readonly clock: Clock,
  ) {}

  /** Highest term heard of, never more than 1,000 beyond what the database or the own history proves. */
  get term(): number {
    return Math.max(Math.min(this.highestTerm, this.provenTerm + TERM_AHEAD_MAX), this.replica.term);
  }

  /** Somebody said that there is such a term. False when it is too high to be believed: only head can tell. */
  noteTerm(term: number): boolean {
    if (!isPlausibleTerm(term, this.provenTerm)) return false;
    this.highestTerm = Math.max(this.highestTerm, term);
    return true;
  }

  /** The term of `config.head`, as the database gave it. */
  noteHeadTerm(term: number): void {
    this.headTerm = term;
    this.highestTerm = Math.max(this.highestTerm, term);
  }

  /** Highest version that this node ever held, also of a history that it had to discard. */
  get highestVersion(): number {
    return this.highestHeld;
  }

  noteVersion(version: number): void {
    this.highestHeld = Math.max(this.highestHeld, version);
  }

  /** Unless this node has applied what was the head at some moment of the last 3 s. */
  isStale(): boolean {
    return this.withheld !== undefined || this.clock.monotonicMs() - this.freshAtMs > STALE_AFTER_MS;
  }

  /** How long ago what this node has applied was the head; infinite when it never was. */
  get freshAgeMs(): number {
    return this.withheld === undefined ? this.clock.monotonicMs() - this.freshAtMs : Number.POSITIVE_INFINITY;
  }

  /** Stays stale whatever is learnt, until a state is loaded or `trust` is called. */
  distrust(why: string): void {
    this.withheld = why;
  }

  /** Its state is in doubt: wrong, diverged or damaged. */
  get isDistrusted(): boolean {
    return this.withheld !== undefined;
  }

  trust(): void {
    this.withheld = undefined;
  }

  /** Somebody who knows said that the history stands here; `atMs` = as of when that is certain. */
  learnHead(head: AppliedPoint, atMs: number): void {
    if (head.version <= this.replica.version) {
      if (this.replica.chainAt(head.version) === head.chain) this.freshAtMs = Math.max(this.freshAtMs, atMs);
      return;
    }
    if (this.awaited.length < MAX_AWAITED_HEADS) {
      this.awaited.push({ version: head.version, chain: head.chain, atMs });
    }
  }

  /** Applies what came from elsewhere; stops at the first change that cannot be applied. */
  apply(changes: readonly Change[]): ApplyResult {
    const applied: Change[] = [];
    let result: ApplyResult = 'duplicate';
    for (const change of changes) {
      const one = this.replica.apply(change);
      if (one === 'applied') applied.push(change);
      else if (one !== 'duplicate') {
        result = one;
        break;
      }
    }
    if (applied.length > 0) this.announce(applied);
    return result === 'duplicate' && applied.length > 0 ? 'applied' : result;
  }

  /** Tells of changes that are in the replica already. */
  announce(changes: readonly Change[]): void {
    const { version, term } = this.replica;
    this.noteTerm(term);
    this.noteVersion(version);
    const reached = this.awaited.filter((head) => head.version <= version);
    if (reached.length > 0) {
      this.awaited = this.awaited.filter((head) => head.version > version);
      for (const head of reached) this.learnHead(head, head.atMs);
    }
    for (const listener of this.appliedListeners) listener(changes);
  }

  /** Replaces the state by a whole one. */
  load(position: LogPosition, state: StateBuilder, reason: Reset['reason']): void {
    this.replica.load(position, state);
    this.noteTerm(position.term);
    this.noteVersion(position.version);
    this.awaited = [];
    this.withheld = undefined;
    this.freshAtMs = Number.NEGATIVE_INFINITY;
    for (const listener of this.resetListeners) listener({ version: position.version, reason });
  }

  onApplied(listener: (changes: readonly Change[]) => void): () => void {
    this.appliedListeners.add(listener);
    return () => this.appliedListeners.delete(listener);
  }

  onReset(listener: (reset: Reset) => void): () => void {
    this.resetListeners.add(listener);
    return () => this.resetListeners.delete(listener);
  }

  /** True as soon as the version is applied; false when the time is over or the signal aborts. */
  waitForVersion(version: number, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    return this.waitUntil(() => (this.replica.version >= version ? true : undefined), timeoutMs, signal);
  }

  /** Whether clients wait for what this node has not applied: replication does not put off anything then. */
  get isAwaited(): boolean {
    return this.awaiting > 0;
  }

  /** Told when the first of them begins to wait. */
  onAwaited(listener: () => void): void {
    this.awaitedListeners.add(listener);
  }

  /** For the time that a client waits. */
  async whileAwaited<Result>(waiting: () => Promise<Result>): Promise<Result> {
    this.awaiting += 1;
    if (this.awaiting === 1) for (const listener of this.awaitedListeners) listener();
    try {
      return await waiting();
    } finally {
      this.awaiting -= 1;
    }
  }

  /** True as soon as exactly this history is applied; false in time, or when this node's history is another. */
  waitForHead(head: AppliedPoint, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    const check = () => {
      if (this.withheld !== undefined) return false;
      if (this.replica.version < head.version) return undefined;
      const known = this.replica.chainAt(head.version);
      return known === undefined || known === head.chain;
    };
    return this.waitUntil(check, timeoutMs, signal);
  }

  private get provenTerm(): number {
    return Math.max(this.headTerm, this.replica.term);
  }

  private async waitUntil(
    check: () => boolean | undefined,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const now = check();
    if (now !== undefined) return now;
    if (signal?.aborted) return false;
    return new Promise<boolean>((resolve) => {
      const finish = (answer: boolean) => {
        clearTimeout(timer);
        stopApplied();
        stopReset();
        signal?.removeEventListener('abort', onAbort);
        resolve(answer);
      };
      const look = () => {
        const answer = check();
        if (answer !== undefined) finish(answer);
      };
      const onAbort = () => finish(false);
      const timer = setTimeout(() => finish(check() ?? false), timeoutMs);
      const stopApplied = this.onApplied(look);
      const stopReset = this.onReset(look);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}
