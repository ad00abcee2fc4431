import type { Change } from '#libs/contracts';
import type { Replica } from '#libs/replica';
import type { ChangeModel } from '../database/config-tables.js';
import type { DatabaseWatcher } from '../database/database.js';
import type { World } from '../world/world.js';

/** A change that the database committed, whether or not it still has it. */
export interface Committed {
  version: number;
  chain: string;
  term: number;
  /** Which write of which client it is; null for what the system itself commits. */
  writeId: string | null;
  /** Per key: the value put, or null for a delete. */
  effects: ReadonlyMap<string, string | null>;
  previous: Committed | undefined;
  /** The database has lost it. */
  lost: boolean;
  kind: 'change' | 'lost';
  lostFrom: number;
}

export interface Loss {
  from: number;
  to: number;
  atMs: number;
  /** Lives that held some of it and went on. */
  holders: Set<string>;
}

/** A head that was learnt within 3 s vouches for a node; heads and rows are repeated every second. */
const FRESH_WITHIN_MS = 5_000;
const VERSIONS_NOTED = 12;

export type Standing = { version: number; value: string } | null;

/**
 * Knows the truth: what the database committed, in which order, and what it lost. Every rule that holds at every
 * moment is looked after here, as things happen.
 */
export class Oracle implements DatabaseWatcher {
  readonly log: Committed[] = [];
  readonly losses: Loss[] = [];
  private readonly byChain = new Map<string, Committed>();
  private readonly byWrite = new Map<string, Committed[]>();
  private readonly ofKey = new Map<string, Committed[]>();
  private readonly refused = new Map<string, string>();
  private readonly leaderOfTerm = new Map<number, string>();
  private readonly positions = new Map<string, string>();
  /** The highest version that was acknowledged, as it was lately, the latest first. */
  private readonly versionsBefore: { atMs: number; version: number }[] = [];
  private acknowledged = 0;
  private highestTerm = 0;
  private commits = 0;

  constructor(private readonly world: World) {}

  get head(): Committed | undefined {
    return this.log.at(-1);
  }
  get version(): number {
    return this.head?.version ?? 0;
  }

  // ---- what the database does --------------------------------------------------------------------------------

  committed(changes: readonly ChangeModel[]): void {
    for (const change of changes) this.commit(change);
  }

  claimed(term: number, leaderId: string): void {
    this.world.note(`term ${term}: ${leaderId}`, 'db');
    if (leaderId.startsWith('o')) this.fail('observers never lead', `${leaderId} has term ${term}`);
    if (term <= this.highestTerm) this.fail('terms only grow', `term ${term} came after ${this.highestTerm}`);
    const before = this.leaderOfTerm.get(term);
    if (before !== undefined && before !== leaderId) {
      this.fail('one leader in a term', `${leaderId} and ${before} both have term ${term}`);
    }
    this.highestTerm = term;
    this.leaderOfTerm.set(term, leaderId);
  }

  lost(from: number, to: number, term: number): void {
    this.world.note(`lost versions ${from} to ${to}, head is of term ${term}`, 'db');
    // Whoever does not know of a term that was lost may claim it again.
    for (const known of this.leaderOfTerm.keys()) if (known > term) this.leaderOfTerm.delete(known);
    this.highestTerm = term;
    const holders = new Set<string>();
    for (const [life, chain] of this.positions) {
      if ((this.byChain.get(chain)?.version ?? 0) >= from) holders.add(life);
    }
    while (this.version >= from) {
      const last = this.log.pop();
      if (last === undefined) break;
      last.lost = true;
      for (const id of last.effects.keys()) this.ofKey.get(id)?.pop();
    }
    this.acknowledged = Math.min(this.acknowledged, this.version);
    if (from <= to) this.losses.push({ from, to, atMs: this.world.nowMs, holders });
  }

  private commit(change: ChangeModel): void {
    const previous = this.head;
    const { version, term, chain, kind, comment } = change;
    const after = previous?.version ?? 0;
    const first = change.lostFrom ?? version;
    if (first !== after + 1) this.fail('versions are dense', `version ${version} came after ${after}`);
    if (term < (previous?.term ?? 0)) this.fail('terms never decrease along versions', `version ${version}`);
    if (this.leaderOfTerm.get(term) === undefined) this.fail('a term has a leader', `term ${term} has none`);
    const effects = new Map<string, string | null>();
    for (const { namespace, key, isPut, value } of change.operations) {
      effects.set(`${namespace}/${key}`, isPut ? String(value) : null);
    }
    const writeId = comment === '' ? null : comment;
    const committed: Committed = {
      version,
      chain,
      term,
      writeId,
      effects,
      previous,
      lost: false,
      kind,
      lostFrom: change.lostFrom ?? 0,
    };
    this.log.push(committed);
    this.byChain.set(chain, committed);
    for (const id of effects.keys()) {
      const history = this.ofKey.get(id);
      if (history === undefined) this.ofKey.set(id, [committed]);
      else history.push(committed);
    }
    if (writeId !== null) this.remember(writeId, committed);
    this.commits++;
    this.world.trace.mix(version);
  }

  private remember(writeId: string, committed: Committed): void {
    const all = this.byWrite.get(writeId);
    if (all === undefined) {
      this.byWrite.set(writeId, [committed]);
    } else {
      const standing = all.find((other) => !other.lost);
      if (standing !== undefined) {
        this.fail(
          'one write, one change',
          `${writeId} is version ${standing.version} and ${committed.version}`,
        );
      }
      all.push(committed);
    }
    const code = this.refused.get(writeId);
    if (code !== undefined) {
      this.fail(
        'a refused write has no effect',
        `${writeId} was refused (${code}) and is version ${committed.version}`,
      );
    }
  }

  // ---- what nodes do -----------------------------------------------------------------------------------------

  applied(node: string, replica: Replica, changes: readonly Change[]): void {
    for (const change of changes) {
      const committed = this.byChain.get(change.chain);
      if (committed === undefined || committed.version !== change.version) {
        this.fail(
          'nodes apply what was committed',
          `${node} applied version ${change.version}, which is not in the log`,
        );
        return;
      }
      const before = this.positions.get(node);
      if ((committed.previous?.chain ?? undefined) !== before) {
        this.fail(
          'nodes apply in order',
          `${node} applied version ${change.version} on ${this.nameOf(before)}`,
        );
        return;
      }
      this.positions.set(node, change.chain);
    }
    const last = changes.at(-1);
    if (last === undefined || replica.version !== last.version) return;
    for (const { namespace, key } of last.operations) this.compareKey(node, replica, `${namespace}/${key}`);
  }

  reset(node: string, replica: Replica, reset: { version: number; reason: string }): void {
    const before = this.byChain.get(this.positions.get(node) ?? '')?.version ?? 0;
    if (reset.reason === 'compacted' && reset.version < before) {
      this.fail(
        'nodes go back only when histories differ',
        `${node} went from ${before} to ${reset.version}`,
      );
    }
    this.world.note(`state loaded at version ${reset.version} (${reset.reason})`, node);
    if (reset.version === 0) this.positions.delete(node);
    else this.positions.set(node, replica.chain);
    this.compare(node, replica);
  }

  died(node: string): void {
    this.positions.delete(node);
    for (const loss of this.losses) loss.holders.delete(node);
  }

  /** Equal version and chain, equal state: all of it. */
  compare(node: string, replica: Replica): void {
    if (replica.version === 0) return;
    if (!this.byChain.has(replica.chain)) {
      this.fail(
        'nodes hold what was committed',
        `${node} stands at a history that is nobody's (${replica.version})`,
      );
      return;
    }
    for (const id of this.ofKey.keys()) this.compareKey(node, replica, id);
  }

  hasState(node: string, replica: Replica, condition: string): void {
    if (condition !== 'ok' || replica.clusterId !== null) return;
    this.fail('a node is well when it is level', `${node} says so before it has any state`);
  }

  /** What a node that says that it is well must have: everything that was acknowledged some time ago. */
  vouchedFor(node: string, replica: Replica, condition: string): void {
    const due = this.versionsBefore.find(({ atMs }) => atMs <= this.world.nowMs - FRESH_WITHIN_MS);
    if (condition !== 'ok' || due === undefined || this.lostSince(due.atMs)) return;
    if (replica.version < due.version) {
      this.fail(
        'a node is well when it is level',
        `${node} says so at ${replica.version}, of ${due.version}`,
      );
    }
  }

  /** Called every few seconds. */
  noteVersion(): void {
    this.versionsBefore.unshift({ atMs: this.world.nowMs, version: this.acknowledged });
    this.versionsBefore.length = Math.min(this.versionsBefore.length, VERSIONS_NOTED);
  }

  private compareKey(node: string, replica: Replica, id: string): void {
    const at = this.byChain.get(replica.chain);
    if (at === undefined) return;
    const slash = id.indexOf('/');
    const entry = replica.get(id.slice(0, slash), id.slice(slash + 1));
    const wanted = this.standingAt(at, id);
    const held = entry === undefined ? null : { version: entry.version, value: entry.value.toString() };
    if (held?.version !== wanted?.version || held?.value !== wanted?.value) {
      this.fail(
        'equal version and chain, equal state',
        `${node} at ${replica.version}: ${id} is ${JSON.stringify(held)}, not ${JSON.stringify(wanted)}`,
      );
    }
  }

  /** What stood at a key after a change. */
  standingAt(at: Committed | undefined, id: string): Standing {
    let from = at;
    for (; from?.lost; from = from.previous) {
      const value = from.effects.get(id);
      if (value !== undefined) return value === null ? null : { version: from.version, value };
    }
    const history = this.ofKey.get(id);
    if (from === undefined || history === undefined) return null;
    for (let i = history.length - 1; i >= 0; i--) {
      const change = history[i];
      if (change === undefined || change.version > from.version) continue;
      const value = change.effects.get(id);
      return value === undefined || value === null ? null : { version: change.version, value };
    }
    return null;
  }

  at(version: number): Committed | undefined {
    let low = 0;
    let high = this.log.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.log[middle] as Committed).version >= version) high = middle;
      else low = middle + 1;
    }
    return this.log[low]?.version === version ? this.log[low] : undefined;
  }

  byChainOf(chain: string): Committed | undefined {
    return this.byChain.get(chain);
  }

  lostSince(atMs: number): boolean {
    return (this.losses.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY) >= atMs;
  }

  // ---- what clients are told ---------------------------------------------------------------------------------

  /** Every commit of a write, those lost included. */
  changesOf(writeId: string): readonly Committed[] {
    return this.byWrite.get(writeId) ?? [];
  }

  acknowledgedAt(version: number): void {
    this.acknowledged = Math.max(this.acknowledged, version);
  }

  refusedWrite(writeId: string, code: string): void {
    this.refused.set(writeId, code);
    const done = this.changesOf(writeId)[0];
    if (done !== undefined) {
      this.fail(
        'a refused write has no effect',
        `${writeId} was refused (${code}) and is version ${done.version}`,
      );
    }
  }

  get commitCount(): number {
    return this.commits;
  }

  private nameOf(chain: string | undefined): string {
    if (chain === undefined) return 'nothing';
    const known = this.byChain.get(chain);
    return known === undefined ? 'a history that is nobody’s' : `version ${known.version}`;
  }

  fail(rule: string, detail: string): void {
    this.world.note(`VIOLATION ${rule}: ${detail}`);
    this.world.fail(rule, detail);
  }
}
