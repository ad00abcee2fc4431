import type { Change, LogNotice } from '#libs/contracts';
import { chainAfter } from '#libs/replica';
import { RecentChanges } from './recent-changes.js';

/**
 * The copy of the log that watchers of this gateway are fed from. It follows one node at a time and goes on from its
 * own last version at the next; the chain shows whether the next node's history is a continuation of what was told
 * here. When it is not, either may be wrong: a database that lost its latest changes leaves nodes that still have
 * them for a moment. The history of a change with a higher term counts (terms never fall along a history), and what
 * the leader says, and what a second node says too; else the node is left.
 */
export type FollowStep =
  /** In order, without a gap. */
  | { do: 'tell'; changes: readonly Change[] }
  /** The history told here is not (or no longer) the cluster's: it now ends at `version`. */
  | { do: 'reset'; version: number; reason: 'compacted' | 'diverged' }
  /** This node's history does not count: follow another. */
  | { do: 'leave'; why: 'other-history' | 'gap' };

const BOUNDS = { versions: 20_000, bytes: 16 * 1024 * 1024 };

export interface FollowSource {
  id: string;
  leads: boolean;
}

type LogPoint = Pick<Change, 'version' | 'term' | 'chain'>;

/** Where the copy ends; the chain is unknown until a node said it at exactly this version. */
type End = Pick<Change, 'version' | 'term'> & { chain: string | null };

export class FollowedLog {
  private end: End = { version: 0, term: 0, chain: null };
  private recentChanges = new RecentChanges(BOUNDS, 0);
  /** The node that contradicted last, when no node has agreed since. */
  private contradictedBy: string | null = null;

  get version(): number {
    return this.end.version;
  }

  get term(): number {
    return this.end.term;
  }

  recent(after: number, limit: number, maxBytes: number): readonly Change[] | 'older' {
    return this.recentChanges.after(after, limit, maxBytes);
  }

  /** Forgets everything and stands at `version`, of whose history nothing is known yet. */
  begin(version: number): void {
    this.end = { version, term: 0, chain: null };
    this.recentChanges = new RecentChanges(BOUNDS, version);
    this.contradictedBy = null;
  }

  /** What is to be done, in this order. */
  receive(said: { changes: readonly Change[] } | LogNotice, from: FollowSource): FollowStep[] {
    if ('changes' in said) return this.takeChanges(said.changes, from);
    if ('head' in said) return this.takeHead(said.head, from);
    this.begin(said.reset.version);
    return [{ do: 'reset', ...said.reset }];
  }

  /** The term of a head is the highest that the node heard of, not one of its history. */
  private takeHead(head: LogPoint, from: FollowSource): FollowStep[] {
    const { version, term, chain } = this.end;
    if (head.version !== version) return []; // behind, or the changes are on their way
    if (chain !== null && chain !== head.chain) return [this.contradicted(head, from, false)];
    this.end = { version, term, chain: head.chain };
    this.contradictedBy = null;
    return [];
  }

  private takeChanges(changes: readonly Change[], from: FollowSource): FollowStep[] {
    const steps: FollowStep[] = [];
    let told: Change[] = [];
    const flush = () => {
      if (told.length > 0) steps.push({ do: 'tell', changes: told });
      told = [];
    };
    for (const change of changes) {
      const fit = this.fitOf(change);
      if (fit === 'told') continue;
      if (fit === 'next') {
        this.end = { version: change.version, term: change.term, chain: change.chain };
        this.contradictedBy = null;
        this.recentChanges.push(change);
        told.push(change);
        continue;
      }
      flush();
      const step: FollowStep =
        fit === 'gap'
          ? { do: 'leave', why: 'gap' }
          : this.contradicted(change, from, change.term > this.end.term);
      steps.push(step);
      if (step.do === 'leave') return steps;
    }
    flush();
    return steps;
  }

  /** A change of kind `lost` stands for all the versions that the database lost: it follows what was before them. */
  private fitOf(change: Change): 'told' | 'next' | 'gap' | 'contradicts' {
    const { version, chain } = this.end;
    if (change.version <= version) {
      const same = change.version < version || chain === null || change.chain === chain;
      return same ? 'told' : 'contradicts';
    }
    const first = change.lost?.from ?? change.version;
    if (first > version + 1) return 'gap';
    if (first <= version) return 'contradicts';
    return chain === null || chainAfter(chain, change) === change.chain ? 'next' : 'contradicts';
  }

  private contradicted(at: LogPoint, from: FollowSource, higherTerm: boolean): FollowStep {
    const seconded = this.contradictedBy !== null && this.contradictedBy !== from.id;
    if (!higherTerm && !from.leads && !seconded) {
      this.contradictedBy = from.id;
      return { do: 'leave', why: 'other-history' };
    }
    this.begin(at.version);
    this.end = { version: at.version, term: at.term, chain: at.chain };
    return { do: 'reset', version: at.version, reason: 'diverged' };
  }
}
