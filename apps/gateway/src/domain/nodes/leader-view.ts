/**
 * Who leads, as far as this gateway has heard. News comes from many sides and out of order: elections, heads,
 * heartbeats, probes, the answers of nodes. The highest term wins; within a term there is one leader, so that
 * later news of it only fills in what was missing.
 */
export interface KnownLeader {
  term: number;
  id: string | null;
  address: string | null;
}

export interface LeaderReport {
  term: number;
  id?: string | null | undefined;
  address?: string | null | undefined;
  /** From the election's own record: it corrects what was gathered about its term elsewhere. */
  elected?: boolean;
}

/** `term`: a higher one. `leader`: its leader or the leader's address became known. `none`: nothing new. */
export type Learnt = 'term' | 'leader' | 'none';

export class LeaderView {
  private known: KnownLeader = { term: 0, id: null, address: null };
  private lostTerm = 0;
  /** When what is known was heard; by the clock of this gateway, as all times here. */
  private knownAtMs = 0;

  get leader(): KnownLeader {
    return this.known;
  }

  /** Whom to send writes to; null while nobody is known, or while the one that is known has said that it lost. */
  get target(): { term: number; address: string } | null {
    const { term, address } = this.known;
    if (address === null || this.lostTerm >= term) return null;
    return { term, address };
  }

  merge(news: LeaderReport, nowMs: number): Learnt {
    const learnt = this.takeIn(news);
    if (learnt !== 'none') this.knownAtMs = nowMs;
    return learnt;
  }

  /**
   * The database confirmed this leader, no earlier than `notBeforeMs`. If another one of a higher or of this very term
   * was known before that, then its election has been lost by the database: terms only grow in what a database keeps.
   * That is a proof, which a part of the cluster that was cut off cannot give: nothing else takes a term back. True when
   * it did.
   */
  confirmed(leader: { term: number; id: string; address: string }, notBeforeMs: number): boolean {
    const { term, id } = this.known;
    const contradicts = leader.term < term || (leader.term === term && id !== null && id !== leader.id);
    if (!contradicts || notBeforeMs <= this.knownAtMs) return false;
    this.known = { term: leader.term, id: leader.id, address: leader.address };
    this.knownAtMs = notBeforeMs;
    this.lostTerm = Math.min(this.lostTerm, leader.term - 1);
    return true;
  }

  /**
   * The leader of `term` stepped down, or can no longer lead. Only of the known term or of the next one, whose election
   * may be heard later: a greater one would hide every leader until then.
   */
  lost(term: number): void {
    if (term > this.known.term + 1) return;
    this.lostTerm = Math.max(this.lostTerm, term);
  }

  /** A node was heard leading `term`: what was said of its loss was wrong. */
  leads(term: number): void {
    if (this.lostTerm === term) this.lostTerm = term - 1;
  }

  private takeIn(news: LeaderReport): Learnt {
    if (news.term < this.known.term) return 'none';
    if (news.term > this.known.term) {
      this.known = { term: news.term, id: news.id ?? null, address: news.address ?? null };
      return 'term';
    }
    if (news.elected && news.id != null && this.known.id !== null && news.id !== this.known.id) {
      this.known = { term: news.term, id: news.id, address: news.address ?? null };
      return 'leader';
    }
    const id = this.known.id ?? news.id ?? null;
    // A leader that moves within its term does not exist: an address is taken only from whoever names that leader.
    const same = news.id === undefined || news.id === null || news.id === id;
    const address = same ? (news.address ?? this.known.address) : this.known.address;
    if (id === this.known.id && address === this.known.address) return 'none';
    this.known = { term: news.term, id, address };
    return 'leader';
  }
}
